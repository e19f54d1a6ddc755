//! What holds for any bytes: the decoder does what tungstenite does, in whatever pieces the bytes arrive.
#![allow(clippy::panic, reason = "this is what a failed test does")]
#![allow(unreachable_pub, reason = "the fuzz target and a test include this file")]

use std::io::{self, Read, Write};

use hassock_frames::{Compression, DecodeError, Decoder, Incoming};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Longer than a control frame, and shorter than some of the messages that are tried.
pub const MAX_MESSAGE: usize = 300;

/// Compare the two for these bytes. The first bytes say in which pieces the rest arrives.
pub fn check(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((lengths, bytes)) = rest.split_at_checked(usize::from(count % 8)) else { return };
    compare(bytes, &pieces(bytes, lengths));
}

/// Compare the two, and return what they made of the bytes.
pub fn compare(bytes: &[u8], pieces: &[Vec<u8>]) -> Vec<Seen> {
    let expected = theirs(bytes);
    assert_eq!(ours(pieces), expected);
    expected
}

/// The bytes in pieces of these lengths, which repeat. Without lengths, one piece.
fn pieces(bytes: &[u8], lengths: &[u8]) -> Vec<Vec<u8>> {
    let mut lengths = lengths.iter().map(|length| usize::from(*length).max(1)).cycle();
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, after) = rest.split_at(length);
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

/// What came out, until the end or the first error.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(String),
}

/// The error without what differs between two descriptions of it.
fn failed(error: &Error) -> Seen {
    Seen::Failed(match error {
        Error::Utf8(_) => "not UTF-8".to_owned(),
        other => format!("{other:?}"),
    })
}

fn ours(pieces: &[Vec<u8>]) -> Vec<Seen> {
    let mut decoder = Decoder::new(MAX_MESSAGE, Compression::None);
    let mut seen = Vec::new();
    for piece in pieces {
        let mut piece = piece.clone();
        let mut input = piece.as_mut_slice();
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(Incoming::Text(text))) => seen.push(Seen::Text(text.payload().as_text().unwrap().to_owned())),
                Ok(Some(Incoming::Binary(data))) => seen.push(Seen::Binary(data.into_owned())),
                Ok(Some(Incoming::Ping(data))) => seen.push(Seen::Ping(data.into_owned())),
                Ok(Some(Incoming::Pong(data))) => seen.push(Seen::Pong(data.into_owned())),
                Ok(Some(Incoming::Close(close))) => {
                    let close = close.map(|close| match close.code.is_allowed() {
                        true => (close.code.into(), close.reason.to_string()),
                        // tungstenite replaces such a close frame.
                        false => (CloseCode::Protocol.into(), "Protocol violation".to_owned()),
                    });
                    seen.push(Seen::Close(close));
                    return seen;
                }
                Err(DecodeError::Frame(error)) => {
                    seen.push(failed(&error));
                    return seen;
                }
                Err(DecodeError::Deflate) => panic!("nothing is compressed"),
            }
        }
        assert!(input.is_empty());
    }
    seen
}

fn theirs(bytes: &[u8]) -> Vec<Seen> {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_raw_socket(Once(bytes), Role::Server, Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Seen::Text(text.to_string()),
            Ok(Message::Binary(data)) => Seen::Binary(data.into()),
            Ok(Message::Ping(data)) => Seen::Ping(data.into()),
            Ok(Message::Pong(data)) => Seen::Pong(data.into()),
            Ok(Message::Close(close)) => {
                seen.push(Seen::Close(close.map(|close| (close.code.into(), close.reason.to_string()))));
                return seen;
            }
            Ok(Message::Frame(_)) => continue,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return seen,
            Err(error) => {
                seen.push(failed(&error));
                return seen;
            }
        });
    }
}

/// A stream that has these bytes and then no more for now. What is written to it is lost.
pub struct Once<'a>(pub &'a [u8]);

impl Read for Once<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Once<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
