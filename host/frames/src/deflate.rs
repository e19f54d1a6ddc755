//! Compressing what is sent (RFC 7692, section 7.2.1).

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::encoded::Encoded;
use crate::header::{Header, Opcode, Unmasked};

/// What the compressed data of each message would end with, and what is therefore not sent.
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How far back compressed data refers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// 32 KiB.
    Full,
    /// 512 bytes, for a client that asks for less than 32 KiB. There is one size for all of these, so that a published
    /// message is compressed at most twice.
    Small,
}

/// How messages are compressed for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// How far back the data may refer.
    pub window: Window,
    /// How much time is spent on it: 1 to 9.
    pub level: u8,
    /// Bytes of the shortest message that is worth it.
    pub min_bytes: u32,
}

/// A compressor of a thread. Its state is some hundred KiB, so there is not one for each connection.
struct Compressor {
    state: Compress,
    level: u8,
}

thread_local! {
    static FULL: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    static SMALL: RefCell<Option<Compressor>> = const { RefCell::new(None) };
}

impl Encoded {
    /// The same messages, of which those are compressed that become shorter. The lengths of the payloads stay those of
    /// the messages.
    pub fn deflated(self, how: Deflate) -> Self {
        if !self.headers().any(|header| how.is_for(&header)) {
            return self;
        }
        let mut bytes = Vec::new();
        let mut is_shorter = false;
        for frame in self.split() {
            match how.compressed(&frame, &mut bytes) {
                true => is_shorter = true,
                false => bytes.extend_from_slice(frame.as_bytes()),
            }
        }
        if !is_shorter {
            return self;
        }
        bytes.shrink_to_fit();
        Self::from_frames(bytes.into(), self.payload_len(), self.frames())
    }
}

impl Window {
    /// The window for a client that can read one of so many bits. There is none for 8: zlib does not write that.
    pub(crate) fn within(bits: u8) -> Option<Self> {
        match bits {
            15.. => Some(Self::Full),
            9..15 => Some(Self::Small),
            _ => None,
        }
    }

    /// The base-2 logarithm of its size.
    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::Full => 15,
            Self::Small => 9,
        }
    }
}

impl Deflate {
    fn is_for(self, header: &Header) -> bool {
        let is_message = header.opcode == Opcode::Text as u8 || header.opcode == Opcode::Binary as u8;
        is_message && header.reserved == 0 && header.payload > 0 && header.payload >= u64::from(self.min_bytes)
    }

    /// Add the frame of a compressed message to `frames`. False, and nothing is added, if it is not worth it.
    fn compressed(self, frame: &Encoded, frames: &mut Vec<u8>) -> bool {
        let Some(header) = Header::parse(frame.as_bytes()).filter(|header| self.is_for(header)) else { return false };
        let Some(opcode) = Opcode::from_number(header.opcode) else { return false };
        let compress = |state: &mut Option<Compressor>| {
            let state = state.get_or_insert_with(|| Compressor::new(self));
            state.run(self.level, &frame.payload(), |compressed| {
                let header = Unmasked::compressed(opcode, compressed.len());
                frames.reserve(header.as_bytes().len() + compressed.len());
                frames.extend_from_slice(header.as_bytes());
                frames.extend_from_slice(compressed);
            })
        };
        match self.window {
            Window::Full => FULL.with_borrow_mut(compress),
            Window::Small => SMALL.with_borrow_mut(compress),
        }
    }
}

impl Compressor {
    fn new(how: Deflate) -> Self {
        let level = Compression::new(u32::from(how.level.clamp(1, 9)));
        Self { state: Compress::new_with_window_bits(level, false, how.window.bits()), level: how.level }
    }

    /// Compress a message, and give it to `then` if it became shorter.
    fn run(&mut self, level: u8, message: &[u8], then: impl FnOnce(&[u8])) -> bool {
        self.state.reset();
        if self.level != level {
            // Nothing waits to be written after a reset, so there is nothing for which there could be no room.
            let _ = self.state.set_level(Compression::new(u32::from(level.clamp(1, 9))));
            self.level = level;
        }
        // No room for what is not shorter. One byte more tells a flush that is complete from one that just filled it.
        let room = message.len() + TAIL.len();
        let mut compressed = Vec::with_capacity(room);
        let status = self.state.compress_vec(message, &mut compressed, FlushCompress::Sync);
        let is_complete = matches!(status, Ok(Status::Ok)) && self.state.total_in() == message.len() as u64;
        match compressed.strip_suffix(&TAIL) {
            Some(payload) if is_complete && compressed.len() < room => {
                then(payload);
                true
            }
            _ => false,
        }
    }
}
