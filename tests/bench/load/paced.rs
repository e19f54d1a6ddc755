//! Clients that send at a fixed pace, whether answers come or not. A client that waits for an answer before it sends the
//! next message would send nothing while the server pauses, and so measure each pause only once.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

use super::client::{open, to_server};
use super::{Load, Round, TEXT};
use crate::server::Server;

/// Connections at the same time.
pub const CONNECTIONS: usize = 100;

/// Messages of all of them together, in a second: far less than a server can handle, because times would otherwise only
/// show how long the queue is.
pub const PER_SECOND: u32 = 5_000;

/// Long enough for 100 messages that are slower than the 99th percentile.
const ROUND: Duration = Duration::from_secs(2);

const MESSAGE: &[u8] = b"message!";

/// A server with clients that are connected to it, for several loads.
pub type Clients = Rc<tokio::sync::Mutex<PacedClients>>;

pub struct PacedClients {
    pub server: Server,
    clients: Vec<Client>,
}

struct Client {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
    /// When the messages were sent that have not been answered yet.
    sent: Arc<Mutex<VecDeque<Instant>>>,
}

/// The 99th percentile of the time from a message to its answer, in microseconds.
pub struct Paced(pub Clients);

impl PacedClients {
    pub async fn connect(server: Server) -> Clients {
        let path = server.echo.clone();
        Self::connect_to(server, &path).await
    }

    pub async fn connect_to(server: Server, path: &str) -> Clients {
        let sockets = open(&server, path, CONNECTIONS).await;
        let client = |socket: tokio::net::TcpStream| {
            let (reading, writing) = socket.into_split();
            Client { reading: BufReader::new(reading), writing, sent: Arc::default() }
        };
        Rc::new(tokio::sync::Mutex::new(Self { server, clients: sockets.into_iter().map(client).collect() }))
    }

    /// Send for a while. Returns the times from each message to its answer, in nanoseconds.
    pub async fn run(&mut self) -> Histogram<u64> {
        let turns = ROUND.as_secs() as usize * PER_SECOND as usize / CONNECTIONS;
        let (mut readers, mut writers) = (JoinSet::new(), Vec::new());
        for client in self.clients.drain(..) {
            writers.push((client.writing, Arc::clone(&client.sent)));
            readers.spawn(read(client.reading, client.sent, turns));
        }
        // A thread, because the timers of the runtime count milliseconds.
        let sender = thread::spawn(move || send(writers, turns));
        let read = readers.join_all().await;
        let mut writers = sender.join().expect("the sender");
        let mut all = Histogram::new(3).expect("three digits");
        for (reading, sent, times) in read {
            all.add(times).expect("the same kind");
            let place = writers.iter().position(|(_, other)| Arc::ptr_eq(other, &sent)).expect("its other half");
            self.clients.push(Client { reading, writing: writers.swap_remove(place).0, sent });
        }
        all
    }
}

type Writer = (OwnedWriteHalf, Arc<Mutex<VecDeque<Instant>>>);

fn send(writers: Vec<Writer>, turns: usize) -> Vec<Writer> {
    let (begin, frame) = (Instant::now(), to_server(TEXT, MESSAGE));
    let all = (0..turns).flat_map(|_| writers.iter());
    for ((writing, sent), number) in all.zip(0_u32..) {
        let due = begin + Duration::from_secs(1) * number / PER_SECOND;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        sent.lock().push_back(Instant::now());
        assert_eq!(writing.try_write(&frame).expect("to send"), frame.len(), "the server reads nothing");
    }
    writers
}

type Answered = (BufReader<OwnedReadHalf>, Arc<Mutex<VecDeque<Instant>>>, Histogram<u64>);

async fn read(mut reading: BufReader<OwnedReadHalf>, sent: Arc<Mutex<VecDeque<Instant>>>, turns: usize) -> Answered {
    let mut times = Histogram::new(3).expect("three digits");
    let mut answer = Vec::new();
    for _ in 0..turns {
        let mut head = [0; 2];
        reading.read_exact(&mut head).await.expect("the answer");
        answer.resize(usize::from(head[1]), 0);
        reading.read_exact(&mut answer).await.expect("the answer");
        // A version of a module may answer with its name before it.
        assert!(head[0] == 0x81 && answer.ends_with(MESSAGE), "{head:?} {}", String::from_utf8_lossy(&answer));
        let sent = sent.lock().pop_front().expect("no answer without a message");
        times.record(sent.elapsed().as_nanos() as u64).expect("a time");
    }
    (reading, sent, times)
}

impl Load for Paced {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        async { Round::of_times(self.0.lock().await.run().await) }.boxed_local()
    }
}
