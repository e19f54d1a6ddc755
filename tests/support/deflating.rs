//! A client that compresses its messages itself (`permessage-deflate`, RFC 7692): what no library here does.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::Raw;
use crate::raw::opcode::{BINARY, FIN, PING, TEXT};
use crate::raw::{Answer, Frame, frame, upgrade_with};

/// The bit of a compressed message.
pub const COMPRESSED: u8 = 0x40;

/// What a browser offers.
const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// What the data of a message ends with, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A WebSocket on which messages may be compressed.
pub struct Deflating {
    /// The connection itself.
    pub raw: Raw,
    window_bits: u8,
}

impl Deflating {
    /// Open a WebSocket with the offer of a browser.
    ///
    /// # Panics
    /// If it is refused, or not compressed.
    pub async fn open(address: &str, path: &str) -> Self {
        let (client, extensions) = Self::offering(address, path, OFFER).await;
        assert!(extensions.is_some(), "the host does not compress");
        client
    }

    /// Open a WebSocket with another offer. Returns what the host answers to it.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn offering(address: &str, path: &str, offer: &str) -> (Self, Option<String>) {
        let mut raw = Raw::connect(address).await;
        raw.send(upgrade_with(path, &format!("Sec-WebSocket-Extensions: {offer}\r\n"))).await;
        let answer: Answer = raw.accepted().await;
        let extensions = answer.header("sec-websocket-extensions");
        let bits = extensions.as_deref().and_then(|answer| answer.split_once("server_max_window_bits="));
        let window_bits = bits.and_then(|(_, bits)| bits.parse().ok()).unwrap_or(15);
        (Self { raw, window_bits }, extensions)
    }

    /// Open a WebSocket of `hassock.v1` with the offer of a browser.
    ///
    /// # Panics
    /// If it is refused, or not compressed.
    pub async fn speaking(address: &str, path: &str) -> Self {
        let offer = format!("{OFFER}\r\nSec-WebSocket-Protocol: hassock.v1");
        let (client, extensions) = Self::offering(address, path, &offer).await;
        assert!(extensions.is_some(), "the host does not compress");
        client
    }

    /// Send a compressed text, and return the answer as [`text`](Self::text) does.
    pub async fn ask(&mut self, text: &str) -> String {
        self.raw.send(compressed(TEXT, text)).await;
        self.text().await
    }

    /// The next message, which has to be a text. Pings before it are left out.
    ///
    /// # Panics
    /// If it is not.
    pub async fn text(&mut self) -> String {
        let (first, text) = self.message().await;
        assert_eq!(first & !COMPRESSED, FIN | TEXT, "no text: {text:?}");
        String::from_utf8(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The next message: its first byte, and what it says.
    ///
    /// # Panics
    /// If the connection ends instead.
    pub async fn message(&mut self) -> (u8, Vec<u8>) {
        loop {
            match self.raw.frame().await {
                Some(Frame { first, .. }) if first == FIN | PING => {}
                Some(Frame { first, payload }) if first & COMPRESSED != 0 => {
                    assert!(matches!(first & !COMPRESSED & !FIN, TEXT | BINARY), "{first:x} is compressed");
                    return (first, decompress(&payload, self.window_bits));
                }
                Some(Frame { first, payload }) => return (first, payload),
                None => panic!("the connection ended"),
            }
        }
    }
}

/// A compressed message of one frame.
pub fn compressed(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | COMPRESSED | opcode, compress(payload))
}

/// The data of a compressed message.
///
/// # Panics
/// If it cannot be compressed.
pub fn compress(plain: impl AsRef<[u8]>) -> Vec<u8> {
    let plain = plain.as_ref();
    let mut state = Compress::new_with_window_bits(Compression::new(6), false, 15);
    let mut data = Vec::with_capacity(plain.len() + plain.len() / 100 + 100);
    let status = state.compress_vec(plain, &mut data, FlushCompress::Sync);
    assert!(matches!(status, Ok(Status::Ok)) && data.ends_with(&TAIL), "not compressed: {status:?}");
    data.truncate(data.len() - TAIL.len());
    data
}

/// The data of a message that becomes so many MiB of zeros, each from about one KiB.
///
/// # Panics
/// If it cannot be compressed.
pub fn bomb(mebibytes: usize) -> Vec<u8> {
    const MIB: usize = 1 << 20;
    let mut state = Compress::new_with_window_bits(Compression::new(9), false, 15);
    let mut part = Vec::with_capacity(MIB);
    let status = state.compress_vec(&vec![0; MIB], &mut part, FlushCompress::Full);
    assert!(status.is_ok() && part.ends_with(&TAIL), "not compressed: {status:?}");
    let mut data = part.repeat(mebibytes);
    data.truncate(data.len() - TAIL.len());
    data
}

/// What compressed data says, read by a client that has a window of so many bits, and nothing of earlier messages.
fn decompress(data: &[u8], window_bits: u8) -> Vec<u8> {
    let mut state = Decompress::new_with_window_bits(false, window_bits);
    let mut plain = Vec::new();
    // A little at a time, so that the window matters.
    for part in [data, &TAIL].concat().chunks(64) {
        let end = state.total_in() + part.len() as u64;
        while state.total_in() < end {
            plain.reserve(64 << 10);
            let rest = part.len() - usize::try_from(end - state.total_in()).unwrap_or_default();
            let status = state.decompress_vec(&part[rest..], &mut plain, FlushDecompress::Sync);
            assert!(status.is_ok(), "the host's data is not valid: {status:?}");
        }
    }
    plain
}
