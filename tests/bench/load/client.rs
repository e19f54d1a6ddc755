//! Clients: raw sockets with frames made beforehand, so that they cost as little as possible.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

/// Open a WebSocket.
pub async fn connect(address: &str, target: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.set_nodelay(true).expect("no delay");
    socket.write_all(handshake(target).as_bytes()).await.expect("the request");
    answer(&mut socket).await;
    socket
}

/// The request for a WebSocket.
pub fn handshake(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Read the answer to it. Returns its length.
pub async fn answer(socket: &mut (impl AsyncRead + Unpin)) -> usize {
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut answer).await.expect("the answer"), 0, "the server refused");
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    answer.len()
}

/// Open many.
pub async fn open(server: &Server, target: &str, connections: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::with_capacity(connections);
    for _ in 0..connections {
        sockets.push(connect(&server.address, target).await);
    }
    sockets
}

/// A frame of a client. Its mask is zeros, which RFC 6455 allows.
pub fn to_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len(), 0x80);
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A frame of a server.
pub fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len(), 0);
    frame.extend(payload);
    frame
}

fn head(opcode: u8, length: usize, mask: u8) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match length {
        0..126 => frame.push(mask | length as u8),
        _ => {
            frame.push(mask | 126);
            frame.extend(u16::try_from(length).expect("a short message").to_be_bytes());
        }
    }
    frame
}

/// Read exactly these bytes.
pub async fn expect(socket: &mut (impl AsyncRead + Unpin), expected: &[u8], buffer: &mut Vec<u8>) {
    buffer.resize(expected.len(), 0);
    socket.read_exact(buffer).await.expect("the answer");
    assert!(buffer == expected, "what came is not what was sent: {}", String::from_utf8_lossy(buffer));
}
