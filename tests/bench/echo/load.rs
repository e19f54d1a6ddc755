//! The load: raw sockets with frames made beforehand, so that the client costs as little as possible.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Connections at the same time.
pub const CONNECTIONS: usize = 32;

/// Bytes of a message.
pub const PAYLOAD: usize = 64;

/// A text frame of [`PAYLOAD`] bytes to the server: masked with zeros, which RFC 6455 allows.
const HEAD: [u8; 6] = [0x81, 0x80 | PAYLOAD as u8, 0, 0, 0, 0];

/// Its echo has no mask.
const ECHO: usize = 2 + PAYLOAD;

const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Open connections, each of which keeps `in_flight` messages in flight.
pub struct Load {
    sockets: Vec<TcpStream>,
    in_flight: usize,
}

impl Load {
    /// Open the connections.
    pub async fn connect(address: &str, in_flight: usize) -> Self {
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
        Self { sockets, in_flight }
    }

    /// Send and receive for a while; returns how many messages came back.
    pub async fn run(&mut self, time: Duration) -> u64 {
        let end = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for socket in self.sockets.drain(..) {
            tasks.spawn(ping_pong(socket, self.in_flight, end));
        }
        let mut messages = 0;
        while let Some(done) = tasks.join_next().await {
            let (socket, count) = done.expect("a client");
            self.sockets.push(socket);
            messages += count;
        }
        messages
    }
}

async fn ping_pong(mut socket: TcpStream, in_flight: usize, end: Instant) -> (TcpStream, u64) {
    let frame = [HEAD.as_slice(), &[b'x'; PAYLOAD]].concat();
    let (frames, mut echoes) = (frame.repeat(in_flight), vec![0; ECHO * in_flight]);
    let mut count = 0;
    while Instant::now() < end {
        socket.write_all(&frames).await.expect("cannot send");
        socket.read_exact(&mut echoes).await.expect("the echoes");
        assert!(echoes.ends_with(b"xxxxxxxx"), "an echo is not what was sent");
        count += in_flight as u64;
    }
    (socket, count)
}
