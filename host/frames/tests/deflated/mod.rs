//! What holds for any bytes, on a connection that negotiated compression: the pieces in which they arrive make no
//! difference, and a compressed message is what another implementation makes of it.
#![allow(clippy::panic, reason = "this is what a failed test does")]
#![allow(unreachable_pub, reason = "the fuzz target and a test include this file")]

use hassock_frames::{Compression, DecodeError, Decoder, Incoming};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use tungstenite::Error;
use tungstenite::error::CapacityError;

pub const MAX_MESSAGE: usize = 4_000;

/// A state of decompression, and what the memory of two messages may be at most.
const MAX_HELD: usize = (64 << 10) + 4 * MAX_MESSAGE;

/// What came out, until the end or the first error.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close,
    NotDeflate,
    TooLarge,
    NotUtf8,
    /// Another error.
    Failed(String),
}

/// Try these bytes. The first ones say in which pieces the rest arrives.
pub fn check(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((lengths, bytes)) = rest.split_at_checked(usize::from(count % 8)) else { return };
    let lengths: Vec<usize> = lengths.iter().map(|length| usize::from(*length)).collect();
    assert_eq!(decode(bytes, &lengths, MAX_MESSAGE), decode(bytes, &[], MAX_MESSAGE), "as frames");
    check_payload(bytes, &lengths);
}

/// Try these bytes as the data of one compressed message.
pub fn check_payload(data: &[u8], lengths: &[usize]) {
    let seen = decode(&message(data, lengths), &[], MAX_MESSAGE);
    match (seen.as_slice(), reference(data)) {
        ([Seen::Binary(ours)], Reference::Message(theirs)) => assert_eq!(*ours, theirs),
        ([Seen::Binary(ours)], other) => panic!("{} bytes, and the other one: {other:?}", ours.len()),
        // It accepts some codes that zlib refuses.
        ([Seen::NotDeflate], _) | ([Seen::TooLarge], Reference::TooLarge) => {}
        // The data is longer than that of any message within the limit.
        ([Seen::TooLarge], _) if data.len() > MAX_MESSAGE => {}
        (seen, other) => panic!("{seen:?}, and the other one: {other:?}"),
    }
}

/// Decode bytes that arrive in pieces of these lengths, which repeat. Without lengths, in one piece.
pub fn decode(bytes: &[u8], lengths: &[usize], max_message: usize) -> Vec<Seen> {
    let mut decoder = Decoder::new(max_message, Compression::Deflate);
    let mut seen = Vec::new();
    for mut piece in pieces(bytes, lengths).map(<[u8]>::to_vec) {
        let mut input = piece.as_mut_slice();
        loop {
            let next = decoder.decode(&mut input);
            assert!(decoder.held() <= MAX_HELD + 4 * max_message, "{} bytes", decoder.held());
            match next {
                Ok(None) if decoder.is_busy() => {}
                Ok(None) => break,
                Ok(Some(Incoming::Close(_))) => {
                    seen.push(Seen::Close);
                    return seen;
                }
                Ok(Some(incoming)) => seen.push(incoming.into()),
                Err(error) => {
                    seen.push(error.into());
                    return seen;
                }
            }
        }
        assert!(input.is_empty());
    }
    seen
}

/// The frames of a client for a compressed binary message, whose data is in fragments of these lengths.
pub fn message(data: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut fragments: Vec<&[u8]> = pieces(data, lengths).collect();
    if fragments.is_empty() {
        fragments.push(&[]);
    }
    let last = fragments.len() - 1;
    let mut bytes = Vec::new();
    for (index, fragment) in fragments.into_iter().enumerate() {
        let first = if index == 0 { 0x42 } else { 0 };
        bytes.extend(frame(first | if index == last { 0x80 } else { 0 }, fragment));
    }
    bytes
}

/// A frame of a client. The first byte has the opcode and the bits.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x80, 0xfe, 0x05];
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn pieces<'a>(bytes: &'a [u8], lengths: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().map(|length| (*length).max(1)).cycle();
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, after) = rest.split_at(length);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

impl From<Incoming<'_>> for Seen {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(text) => Self::Text(text.payload().as_text().unwrap_or("not UTF-8").to_owned()),
            Incoming::Binary(data) => Self::Binary(data.into_owned()),
            Incoming::Ping(data) => Self::Ping(data.into_owned()),
            Incoming::Pong(data) => Self::Pong(data.into_owned()),
            Incoming::Close(_) => Self::Close,
        }
    }
}

impl From<DecodeError> for Seen {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Deflate => Self::NotDeflate,
            DecodeError::Frame(Error::Capacity(CapacityError::MessageTooLong { .. })) => Self::TooLarge,
            DecodeError::Frame(Error::Utf8(_)) => Self::NotUtf8,
            DecodeError::Frame(other) => Self::Failed(format!("{other:?}")),
        }
    }
}

/// What the other implementation makes of compressed data.
#[derive(Debug)]
enum Reference {
    Message(Vec<u8>),
    TooLarge,
    Invalid,
}

/// Decompress as RFC 7692 describes it, all at once.
fn reference(data: &[u8]) -> Reference {
    if data.is_empty() {
        return Reference::Message(Vec::new());
    }
    let whole = [data, &[0, 0, 0xff, 0xff, 0x03, 0x00]].concat();
    let (mut message, mut read) = (Vec::new(), 0);
    loop {
        let mut written = vec![0; MAX_MESSAGE + 1];
        let mut state = DecompressorOxide::new();
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let rest = whole.get(read..).unwrap_or_default();
        let (status, more, wrote) = decompress(&mut state, rest, &mut written, 0, flags);
        read += more;
        message.extend_from_slice(written.get(..wrote).unwrap_or_default());
        match status {
            _ if message.len() > MAX_MESSAGE => return Reference::TooLarge,
            TINFLStatus::Done if read == data.len() || read == whole.len() => return Reference::Message(message),
            // Another block that is marked as the last one.
            TINFLStatus::Done if read < data.len() => {}
            _ => return Reference::Invalid,
        }
    }
}
