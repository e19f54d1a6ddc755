//! A client that writes its own bytes: for what no WebSocket library would send.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::within;

/// The first byte of a frame, RFC 6455, section 5.2: the opcode, and with [`opcode::FIN`] the last frame of a message.
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub mod opcode {
    pub const FIN: u8 = 0x80;
    pub const CONTINUATION: u8 = 0x0;
    pub const TEXT: u8 = 0x1;
    pub const BINARY: u8 = 0x2;
    pub const CLOSE: u8 = 0x8;
    pub const PING: u8 = 0x9;
    pub const PONG: u8 = 0xa;
}

use opcode::{CLOSE, FIN, TEXT};

/// The key of the RFC's own example, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A TCP connection to a host.
pub struct Raw {
    /// The connection itself.
    pub stream: TcpStream,
    /// What was read and not used yet.
    buffer: Vec<u8>,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// The body, if its length was given.
    pub body: String,
}

/// A frame from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its first byte.
    pub first: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The head of a request for a WebSocket, with its last, empty line.
pub fn upgrade(path: &str) -> String {
    upgrade_with(path, "")
}

/// The same with more header fields, each with its line end.
pub fn upgrade_with(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: hassock.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// A masked frame, as a client has to send it.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let (mask, payload) = ([0x37, 0xfa, 0x21, 0x3d], payload.as_ref());
    let mut bytes = head(first, 0x80, payload.len());
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A frame without a mask, as only a server may send it.
pub fn unmasked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = head(first, 0, payload.as_ref().len());
    bytes.extend(payload.as_ref());
    bytes
}

/// A whole text message.
pub fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text)
}

/// A close frame.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(FIN | CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
}

fn head(first: u8, mask: u8, length: usize) -> Vec<u8> {
    let length = u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes();
    match u64::from_be_bytes(length) {
        0..126 => vec![first, mask | length[7]],
        126..0x1_0000 => vec![first, mask | 126, length[6], length[7]],
        _ => [&[first, mask | 127], &length[..]].concat(),
    }
}

impl Raw {
    /// A TCP connection on which nothing was sent.
    ///
    /// # Panics
    /// If there is none.
    pub async fn connect(address: &str) -> Self {
        Self::connect_from("127.0.0.1", address).await
    }

    /// The same from another address of the loopback network, such as `127.0.0.2`.
    ///
    /// # Panics
    /// If there is none.
    pub async fn connect_from(source: &str, address: &str) -> Self {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(source.parse().map_err(io::Error::other)?, 0))?;
            socket.connect(address.parse().map_err(io::Error::other)?).await
        };
        let stream: io::Result<TcpStream> = within("a connection", connect).await;
        let stream = stream.unwrap_or_else(|error| panic!("no connection: {error}"));
        assert!(stream.set_nodelay(true).is_ok(), "small writes have to be small packets");
        Self { stream, buffer: Vec::new() }
    }

    /// A WebSocket after the handshake.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn open(address: &str, path: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.send(upgrade(path)).await;
        raw.accepted().await;
        raw
    }

    /// Send bytes.
    ///
    /// # Panics
    /// If the host no longer takes them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// Send bytes to a host that may be gone.
    ///
    /// # Errors
    /// If it is.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("the bytes to be taken", self.stream.write_all(bytes.as_ref())).await
    }

    /// Read the answer to a handshake.
    ///
    /// # Panics
    /// If it is not the right 101.
    pub async fn accepted(&mut self) -> Answer {
        let answer = self.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept").as_deref(), Some(ACCEPT));
        answer
    }

    /// Read an HTTP answer.
    ///
    /// # Panics
    /// If the connection ends before the answer does.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.unwrap_or_else(|| panic!("no answer"))
    }

    /// Read an HTTP answer; none if the host hangs up instead.
    ///
    /// # Panics
    /// If nothing comes in time.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let end = loop {
            match self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end,
                None if self.read().await => {}
                None => return None,
            }
        };
        let head = String::from_utf8_lossy(&self.take(end + 4)).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer { status: status.unwrap_or_default(), head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap_or_default());
        while self.buffer.len() < length && self.read().await {}
        answer.body = String::from_utf8_lossy(&self.take(length)).into_owned();
        Some(answer)
    }

    /// The next frame; none if the connection ends instead.
    pub async fn frame(&mut self) -> Option<Frame> {
        let (head, length) = loop {
            if let Some(found) = length(&self.buffer) {
                break found;
            }
            if !self.read().await {
                return None;
            }
        };
        while self.buffer.len() < head + length {
            if !self.read().await {
                return None;
            }
        }
        let first = self.take(head).first().copied()?;
        Some(Frame { first, payload: self.take(length) })
    }

    /// The next frame, which has to be a whole text message.
    ///
    /// # Panics
    /// If it is not.
    pub async fn text(&mut self) -> String {
        match self.frame().await {
            Some(Frame { first, payload }) if first == FIN | TEXT => String::from_utf8_lossy(&payload).into_owned(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next close frame, whatever comes before it; 1005 if it has no code.
    ///
    /// # Panics
    /// If the connection ends without one.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Some(Frame { first, payload }) if first == FIN | CLOSE => match payload.split_first_chunk() {
                    Some((code, reason)) => {
                        return (u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned());
                    }
                    None => return (1005, String::new()),
                },
                Some(_) => {}
                None => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Wait for the end of the TCP connection; returns the frames before it.
    pub async fn end(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// End the connection as a crash would: with a TCP reset.
    ///
    /// # Panics
    /// If the system does not let it.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap_or_else(|error| panic!("no reset: {error}"));
    }

    /// Read more; false at any kind of end.
    async fn read(&mut self) -> bool {
        matches!(within("bytes of the host", self.stream.read_buf(&mut self.buffer)).await, Ok(1..))
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }
}

impl Answer {
    /// A header field, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    }
}

impl Frame {
    /// A whole message, or a control frame.
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { first: FIN | opcode, payload: payload.as_ref().to_owned() }
    }
}

/// The lengths of a frame's head and of its payload, if the head is there.
pub fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [_, 126, high, low, ..] => Some((4, usize::from(u16::from_be_bytes([high, low])))),
        [_, 127, a, b, c, d, e, f, g, h, ..] => {
            Some((10, usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h])).ok()?))
        }
        [_, length @ 0..126, ..] => Some((2, usize::from(length))),
        _ => None,
    }
}
