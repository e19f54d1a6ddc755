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
    is_held: bool,
    /// How often it was cut: a connection ends if it is older than the last cut.
    cuts: usize,
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
        let count = Arc::default();
        let listener = tokio::spawn(listen(listener, server.to_owned(), observed, Arc::clone(&count)));
        Self { address, line, count, listener }
    }

    /// Let each piece of data take this long from now on.
    pub fn delay(&self, delay: Duration) {
        self.line.send_modify(|line| line.delay = delay);
    }

    /// Pass on nothing until [`release`](Self::release), and keep the connections open.
    pub fn hold(&self) {
        self.line.send_modify(|line| line.is_held = true);
    }

    /// Pass on what was held back.
    pub fn release(&self) {
        self.line.send_modify(|line| line.is_held = false);
    }

    /// The most connections that the server had at a time. One ends when the server closes it.
    pub fn most_connections(&self) -> usize {
        self.count.most.load(Ordering::SeqCst)
    }

    /// Reset all connections that are open, towards both sides. New ones are passed on.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

async fn listen(listener: TcpListener, server: String, line: watch::Receiver<Line>, count: Arc<Count>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(pass(client, server.clone(), line.clone(), Open::new(&count)));
    }
}

async fn pass(mut client: TcpStream, server: String, line: watch::Receiver<Line>, open: Open) {
    let cuts = line.borrow().cuts;
    // If the server is gone, the client's connection ends too.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let mut cut = line.clone();
    let is_cut = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let there = copy(from_client, to_server, line.clone(), ());
        let back = copy(from_server, to_client, line, open);
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
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut line: watch::Receiver<Line>,
    until_end: impl Sized,
) -> io::Result<()> {
    let mut until_end = Some(until_end);
    let mut piece = vec![0; 16 << 10];
    loop {
        let length = from.read(&mut piece).await?;
        let delay = line.wait_for(|line| !line.is_held).await.map_or(Duration::ZERO, |line| line.delay);
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
