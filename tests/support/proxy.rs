//! A TCP proxy that delays, holds back and cuts what it passes on: a network between two programs on this machine.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Passes TCP connections on to a server. They end when this is dropped.
pub struct Proxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    line: watch::Sender<Line>,
    count: Arc<Count>,
    waiting: Arc<AtomicUsize>,
    listener: JoinHandle<()>,
}

/// Connections to the server.
#[derive(Debug, Default)]
struct Count {
    open: AtomicUsize,
    most: AtomicUsize,
}

/// A connection that the server has not closed.
struct Open(Arc<Count>);

/// What the line between the two sides does.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    delay: Duration,
    held: Held,
    /// How often it was cut: a connection ends if it is older than the last cut.
    cuts: usize,
    /// How often what clients send, and what the server sends, has ended on connections that were open.
    ends: (usize, usize),
}

/// What a line does not pass on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Nothing,
    /// What clients send.
    Requests,
    /// What either side sends.
    Everything,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client.
    Client,
    /// The server.
    Server,
}

impl Proxy {
    /// A proxy for a server, `127.0.0.1:PORT`, that passes on everything at once.
    ///
    /// # Panics
    /// If there is no port for it.
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no proxy: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}")).to_string();
        let (line, observed) = watch::channel(Line::default());
        let (count, waiting) = (Arc::default(), Arc::default());
        let (counted, waits) = (Arc::clone(&count), Arc::clone(&waiting));
        let listener = tokio::spawn(listen(listener, server.to_owned(), observed, counted, waits));
        Self { address, line, count, waiting, listener }
    }

    /// Let each piece of data take this long from now on.
    pub fn delay(&self, delay: Duration) {
        self.line.send_modify(|line| line.delay = delay);
    }

    /// Pass on nothing until [`release`](Self::release), and keep the connections open.
    pub fn hold(&self) {
        self.line.send_modify(|line| line.held = Held::Everything);
    }

    /// The same for what clients send. They go on getting what the server sends.
    pub fn hold_requests(&self) {
        self.line.send_modify(|line| line.held = Held::Requests);
    }

    /// From how many clients something is held back.
    pub fn held_requests(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Pass on what was held back.
    pub fn release(&self) {
        self.line.send_modify(|line| line.held = Held::Nothing);
    }

    /// The most connections that the server had at a time. One ends when the server closes it.
    pub fn most_connections(&self) -> usize {
        self.count.most.load(Ordering::SeqCst)
    }

    /// Reset all connections that are open, towards both sides. New ones are passed on.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cuts += 1);
    }

    /// End one direction of all connections that are open: the other side reads the end of what this side sends, while the
    /// other direction goes on.
    pub fn end(&self, side: Side) {
        self.line.send_modify(|line| match side {
            Side::Client => line.ends.0 += 1,
            Side::Server => line.ends.1 += 1,
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

async fn listen(
    listener: TcpListener,
    server: String,
    line: watch::Receiver<Line>,
    count: Arc<Count>,
    waiting: Arc<AtomicUsize>,
) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(pass(client, server.clone(), line.clone(), Open::new(&count), Arc::clone(&waiting)));
    }
}

async fn pass(
    mut client: TcpStream,
    server: String,
    line: watch::Receiver<Line>,
    open: Open,
    waiting: Arc<AtomicUsize>,
) {
    let cuts = line.borrow().cuts;
    // If the server is gone, the client's connection ends too.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let mut cut = line.clone();
    let is_cut = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let there = copy(Side::Client, from_client, to_server, line.clone(), &waiting, ());
        let back = copy(Side::Server, from_server, to_client, line, &waiting, open);
        tokio::select! {
            _ = async { tokio::join!(there, back) } => false,
            _ = cut.wait_for(|line| line.cuts != cuts) => true,
        }
    };
    if is_cut {
        let _ = client.set_zero_linger().and_then(|()| server.set_zero_linger());
    }
}

impl Open {
    fn new(count: &Arc<Count>) -> Self {
        let open = count.open.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(open, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Copy one direction to its end. What `until_end` is is dropped there.
async fn copy(
    side: Side,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut line: watch::Receiver<Line>,
    waiting: &AtomicUsize,
    until_end: impl Sized,
) -> io::Result<()> {
    let mut until_end = Some(until_end);
    let mut piece = vec![0; 16 << 10];
    let (mut ending, ends) = (line.clone(), line.borrow().ends_of(side));
    loop {
        let length = tokio::select! {
            length = from.read(&mut piece) => length?,
            // As if the side had ended it.
            Ok(_) = ending.wait_for(|line| line.ends_of(side) != ends) => 0,
        };
        if line.borrow().holds(side) {
            let _waits = (side == Side::Client).then(|| Waits::new(waiting));
            // Nothing more comes if the proxy is gone.
            let _ = line.wait_for(|line| !line.holds(side)).await;
        }
        let delay = line.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match piece.get(..length) {
            None | Some([]) => {
                drop(until_end.take());
                return to.shutdown().await;
            }
            Some(data) => to.write_all(data).await?,
        }
    }
}

impl Line {
    fn ends_of(&self, side: Side) -> usize {
        match side {
            Side::Client => self.ends.0,
            Side::Server => self.ends.1,
        }
    }

    fn holds(&self, side: Side) -> bool {
        match self.held {
            Held::Nothing => false,
            Held::Requests => side == Side::Client,
            Held::Everything => true,
        }
    }
}

/// Counts a client from which something is held back.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
