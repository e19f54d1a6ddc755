//! The load: connections that each send a message now and then and wait for its answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Connections at the same time.
pub const CONNECTIONS: u32 = 100;

/// Messages of all of them together.
pub const PER_SECOND: u32 = 5_000;

/// A text frame to the server, masked with zeros, which RFC 6455 allows.
const MESSAGE: &[u8] = b"\x81\x88\0\0\0\0message!";

const HANDSHAKE: &str = "GET /marked HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Open connections.
pub struct Load {
    sockets: Vec<TcpStream>,
}

/// From a message to its answer, in microseconds.
pub struct Times {
    pub p50: f64,
    pub p99: f64,
}

impl Load {
    /// Open the connections.
    pub async fn connect(address: &str) -> Self {
        let mut sockets = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut socket = TcpStream::connect(address).await.expect("a connection");
            socket.set_nodelay(true).expect("no delay");
            socket.write_all(HANDSHAKE.as_bytes()).await.expect("the request");
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(socket.read_u8().await.expect("the answer"));
            }
            assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
            sockets.push(socket);
        }
        Self { sockets }
    }

    /// Send for a while.
    pub async fn run(&mut self, time: Duration) -> Times {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for (number, socket) in (0..CONNECTIONS).zip(self.sockets.drain(..)) {
            // One after the other, not all at the same moment.
            let first = begin + Duration::from_secs(1) * number / PER_SECOND;
            tasks.spawn(ask(socket, first, begin + time));
        }
        let mut all = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (socket, times) = done.expect("a client");
            self.sockets.push(socket);
            all.extend(times);
        }
        all.sort_unstable();
        let quantile = |percent: usize| all[all.len() * percent / 100].as_nanos() as f64 / 1e3;
        Times { p50: quantile(50), p99: quantile(99) }
    }
}

async fn ask(mut socket: TcpStream, first: Instant, end: Instant) -> (TcpStream, Vec<Duration>) {
    let mut times = Vec::new();
    let mut turns = interval_at(first, Duration::from_secs(1) * CONNECTIONS / PER_SECOND);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while turns.tick().await < end {
        let sent = Instant::now();
        socket.write_all(MESSAGE).await.expect("cannot send");
        let mut head = [0; 2];
        socket.read_exact(&mut head).await.expect("the answer");
        let mut answer = vec![0; usize::from(head[1])];
        socket.read_exact(&mut answer).await.expect("the answer");
        times.push(sent.elapsed());
        assert!(head[0] == 0x81 && answer.ends_with(b" message!"), "{head:?} {}", String::from_utf8_lossy(&answer));
    }
    (socket, times)
}
