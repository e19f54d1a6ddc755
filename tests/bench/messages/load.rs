//! The load of each case.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::client::{connect, expect, from_server, to_server};
use super::server::Server;

/// Paths of the servers.
pub const ECHO: &str = "/echo";
pub const SUBSCRIBE: &str = "/probe?topic=news";
pub const PUBLISH: &str = "/probe";

/// How long a round lasts: long enough for the 10 ms in which the kernel counts CPU time.
const ROUND: Duration = Duration::from_millis(1500);

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// How many subscribers a message has.
pub const SUBSCRIBERS: usize = 200;

/// How many published messages have not been answered.
const PUBLISHING: usize = 4;

/// How many messages a subscriber may lag behind. Without a bound, the servers would measure how many bytes the kernel
/// keeps, and a server that answers before it delivers would close its subscribers as too slow.
const LAG: usize = 256;

/// How many connections are opened at the same time.
const OPENING: usize = 16;

/// What a round has measured.
#[derive(Clone, Copy)]
pub struct Round {
    /// Messages, deliveries or connections a second, or bytes a connection.
    pub value: f64,
    /// CPU time of the server for one of them, in microseconds. None if it was not measured.
    pub cpu: Option<f64>,
}

/// The load of a case on a server.
pub enum Load {
    Echo { server: Server, sockets: Vec<TcpStream>, payload: usize, in_flight: usize },
    FanOut { server: Server, publisher: TcpStream, subscribers: Vec<TcpStream> },
    Accepts { server: Server },
    Idle { server: Server, sockets: Vec<TcpStream>, connections: usize },
}

/// The text of each published message.
pub fn published() -> String {
    "x".repeat(64)
}

impl Load {
    pub async fn echo(server: Server, connections: usize, payload: usize, in_flight: usize) -> Self {
        let sockets = open(&server, ECHO, connections).await;
        Self::Echo { server, sockets, payload, in_flight }
    }

    pub async fn fan_out(server: Server) -> Self {
        let subscribers = open(&server, SUBSCRIBE, SUBSCRIBERS).await;
        let publisher = connect(&server.address, PUBLISH).await;
        Self::FanOut { server, publisher, subscribers }
    }

    /// Run the load for a while.
    pub async fn round(&mut self) -> Round {
        match self {
            Self::Echo { server, sockets, payload, in_flight } => {
                let work = echo(sockets, *payload, *in_flight);
                rate(server, work).await
            }
            Self::FanOut { server, publisher, subscribers } => rate(server, fan_out(publisher, subscribers)).await,
            Self::Accepts { server } => rate(server, accept(&server.address)).await,
            Self::Idle { server, sockets, connections } => {
                let before = server.memory();
                sockets.extend(open(server, ECHO, *connections).await);
                let from = sockets.len() - *connections;
                // Each has sent and received something.
                echo_once(&mut sockets[from..]).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                let grown = server.memory().saturating_sub(before);
                Round { value: grown as f64 / *connections as f64, cpu: None }
            }
        }
    }
}

/// How often the work was done in a second, and what it cost the server.
async fn rate(server: &Server, work: impl Future<Output = usize>) -> Round {
    let (cpu, began) = (server.cpu(), Instant::now());
    let done = work.await as f64;
    let (time, cpu) = (began.elapsed(), server.cpu() - cpu);
    Round { value: done / time.as_secs_f64(), cpu: Some(cpu.as_secs_f64() * 1e6 / done) }
}

async fn open(server: &Server, target: &str, connections: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::with_capacity(connections);
    for _ in 0..connections {
        sockets.push(connect(&server.address, target).await);
    }
    sockets
}

async fn echo_once(sockets: &mut [TcpStream]) {
    let (frame, echo) = (to_server(TEXT, b"hi"), from_server(TEXT, b"hi"));
    let mut buffer = Vec::new();
    for socket in sockets {
        socket.write_all(&frame).await.expect("to send");
        expect(socket, &echo, &mut buffer).await;
    }
}

/// Returns the number of messages that came back.
async fn echo(sockets: &mut Vec<TcpStream>, payload: usize, in_flight: usize) -> usize {
    let end = Instant::now() + ROUND;
    let mut tasks = JoinSet::new();
    for mut socket in sockets.drain(..) {
        tasks.spawn(async move {
            let text: Vec<u8> = (b'a'..=b'z').cycle().take(payload).collect();
            let frames = to_server(TEXT, &text).repeat(in_flight);
            let echoes = from_server(TEXT, &text).repeat(in_flight);
            let (mut buffer, mut count) = (Vec::new(), 0);
            while Instant::now() < end {
                socket.write_all(&frames).await.expect("to send");
                expect(&mut socket, &echoes, &mut buffer).await;
                count += in_flight;
            }
            (socket, count)
        });
    }
    let done = tasks.join_all().await;
    let messages = done.iter().map(|(_, count)| count).sum();
    sockets.extend(done.into_iter().map(|(socket, _)| socket));
    messages
}

/// Returns the number of deliveries. It ends when the last one has arrived.
async fn fan_out(publisher: &mut TcpStream, subscribers: &mut Vec<TcpStream>) -> usize {
    let text = published();
    let publish = to_server(TEXT, format!("{{\"publish\":{{\"topic\":\"news\",\"text\":\"{text}\"}}}}").as_bytes());
    let answer = from_server(TEXT, format!("{{\"ok\":{SUBSCRIBERS}}}").as_bytes());
    let delivery = from_server(TEXT, text.as_bytes());
    let (total, wanted) = tokio::sync::watch::channel(None);
    let mut tasks = JoinSet::new();
    // The bytes that have arrived at all subscribers.
    let arrived = Arc::new(AtomicUsize::new(0));
    for mut socket in subscribers.drain(..) {
        let arrived = Arc::clone(&arrived);
        let (expected, mut wanted) = (delivery.repeat(64), wanted.clone());
        let length = delivery.len();
        tasks.spawn(async move {
            let (mut received, mut buffer) = (0, vec![0; expected.len()]);
            loop {
                let total: Option<usize> = *wanted.borrow_and_update();
                if total == Some(received) {
                    return socket;
                }
                tokio::select! {
                    read = socket.read(&mut buffer) => {
                        let bytes = read.expect("a delivery");
                        assert_ne!(bytes, 0, "a subscriber was disconnected");
                        let at = received % length;
                        let (first, second) = (&expected[at..], &expected);
                        let same = buffer[..bytes].iter().eq(first.iter().chain(second).take(bytes));
                        assert!(same, "a delivery is not what was published: {}", String::from_utf8_lossy(&buffer[..bytes.min(300)]));
                        received += bytes;
                        arrived.fetch_add(bytes, Ordering::Relaxed);
                    }
                    _ = wanted.changed() => {}
                }
            }
        });
    }
    let (end, mut buffer, mut count) = (Instant::now() + ROUND, Vec::new(), 0);
    let (publishes, answers) = (publish.repeat(PUBLISHING), answer.repeat(PUBLISHING));
    while Instant::now() < end {
        while arrived.load(Ordering::Relaxed) + LAG * SUBSCRIBERS * delivery.len()
            < count * SUBSCRIBERS * delivery.len()
        {
            tokio::task::yield_now().await;
        }
        publisher.write_all(&publishes).await.expect("to publish");
        expect(publisher, &answers, &mut buffer).await;
        count += PUBLISHING;
    }
    total.send_replace(Some(count * delivery.len()));
    subscribers.extend(tasks.join_all().await);
    count * SUBSCRIBERS
}

/// Returns the number of connections that were opened and closed with a close handshake.
async fn accept(address: &str) -> usize {
    let end = Instant::now() + ROUND;
    let mut tasks = JoinSet::new();
    for _ in 0..OPENING {
        let address = address.to_owned();
        tasks.spawn(async move {
            let close = to_server(CLOSE, &1000_u16.to_be_bytes());
            let reply = from_server(CLOSE, &1000_u16.to_be_bytes());
            let (mut buffer, mut count) = (Vec::new(), 0);
            while Instant::now() < end {
                let mut socket = connect(&address, ECHO).await;
                socket.write_all(&close).await.expect("to close");
                expect(&mut socket, &reply, &mut buffer).await;
                count += 1;
            }
            count
        });
    }
    tasks.join_all().await.into_iter().sum()
}
