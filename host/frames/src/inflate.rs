//! Decompressing what is received (RFC 7692, section 7.2.2), a little at a time.

use std::borrow::Cow;
use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};
use tungstenite::error::CapacityError;

use crate::decoder::DecodeError;
use crate::deflate::TAIL;
use crate::encoded::Encoded;
use crate::envelope::MAX_HEADER;
use crate::header::{Header, Opcode};

/// What is added to the compressed data of a message: the tail that is not sent, and the shortest last block. If the data
/// ends in the middle of something, these bytes do not end it.
const END: [u8; END_LEN] = [0, 0, 0xff, 0xff, 0x03, 0x00];

const END_LEN: usize = TAIL.len() + 2;

/// Bytes that are read at once, and bytes that are written at once.
const READ: usize = 2 << 10;
const WRITE: usize = 16 << 10;

/// What a decompressor keeps in memory, in bytes: the window of 32 KiB, tables, and what the allocator adds.
const STATE: usize = 48 << 10;

/// How much may be done before other tasks of the thread have a turn: this takes about a millisecond.
const TURN: u32 = 512 << 10;

/// What a byte that is written counts is 1. One that is read counts more, because a block can be nothing but tables, which
/// take long to build.
const COST_OF_READ: usize = 32;

/// What each part counts in addition.
const COST_OF_PART: usize = 256;

thread_local! {
    /// A decompressor that is not in use. A thread seldom needs two, and allocating one takes longer than a short message.
    static IDLE: RefCell<Option<Decompress>> = const { RefCell::new(None) };

    static WRITTEN: RefCell<Box<[u8]>> = RefCell::new(vec![0; WRITE].into());
}

/// How much may still be done in this turn.
#[derive(Debug)]
pub(crate) struct Turn(u32);

/// A compressed message whose decompression has not come to its end.
#[derive(Debug)]
pub(crate) struct Inflating {
    pub(crate) opcode: Opcode,
    state: Inflated,
    /// The compressed data that has not been read, from `next` on.
    input: Vec<u8>,
    next: usize,
}

/// A message as far as it is decompressed.
#[derive(Debug)]
struct Inflated {
    state: Decompress,
    max_message: usize,
    message: Vec<u8>,
    /// How many bytes of [`END`] were read.
    ended: usize,
}

/// What came of a turn.
pub(crate) enum Outcome {
    /// The whole message.
    Message(Vec<u8>),
    /// The turn is over before the end of the message.
    Unfinished(Box<Inflating>),
}

/// Decompress a message of at most `max_message` bytes.
pub(crate) fn inflate(
    opcode: Opcode,
    compressed: Cow<'_, [u8]>,
    max_message: usize,
    turn: &mut Turn,
) -> Result<Outcome, DecodeError> {
    // Some clients send this for an empty message, because zlib writes no data if it has nothing to flush.
    if compressed.is_empty() {
        return Ok(Outcome::Message(Vec::new()));
    }
    let mut state = Inflated::new(max_message);
    let mut rest = &*compressed;
    if state.read(&mut rest, turn)? {
        return Ok(Outcome::Message(state.message()));
    }
    let next = compressed.len() - rest.len();
    let (input, next) = match compressed {
        Cow::Owned(input) => (input, next),
        Cow::Borrowed(_) => (rest.to_vec(), 0),
    };
    Ok(Outcome::Unfinished(Box::new(Inflating { opcode, state, input, next })))
}

impl Inflating {
    /// Go on in another turn.
    pub(crate) fn go_on(mut self: Box<Self>, turn: &mut Turn) -> Result<Outcome, DecodeError> {
        let mut rest = self.input.get(self.next..).unwrap_or_default();
        let is_done = self.state.read(&mut rest, turn)?;
        self.next = self.input.len() - rest.len();
        Ok(if is_done { Outcome::Message(self.state.message()) } else { Outcome::Unfinished(self) })
    }

    /// How many bytes are in memory for this.
    pub(crate) fn held(&self) -> usize {
        STATE + self.input.capacity() + self.state.message.capacity()
    }
}

impl Inflated {
    fn new(max_message: usize) -> Self {
        let state = IDLE.take().unwrap_or_else(|| Decompress::new_with_window_bits(false, 15));
        Self { state, max_message, message: Vec::new(), ended: 0 }
    }

    /// Read compressed data until its end or that of the turn. True if the message is complete.
    fn read(&mut self, input: &mut &[u8], turn: &mut Turn) -> Result<bool, DecodeError> {
        WRITTEN.with_borrow_mut(|written| {
            while !turn.is_over() {
                if self.read_part(input, written, turn)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Read a little. True if the message is complete.
    fn read_part(&mut self, input: &mut &[u8], written: &mut [u8], turn: &mut Turn) -> Result<bool, DecodeError> {
        let is_end = input.is_empty();
        let part = match is_end {
            true => END.get(self.ended..).unwrap_or_default(),
            false => input.get(..READ).unwrap_or(input),
        };
        let (read_before, written_before) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(part, written, FlushDecompress::None);
        let status = status.map_err(|_| DecodeError::Deflate)?;
        let difference = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        let read = difference(self.state.total_in(), read_before);
        let wrote = difference(self.state.total_out(), written_before);
        turn.spend(read, wrote);
        self.add(written.get(..wrote).unwrap_or_default())?;
        match is_end {
            true => self.ended += read,
            false => *input = input.get(read..).unwrap_or_default(),
        }
        match status {
            // If nothing of the end was read, the data itself had a last block.
            Status::StreamEnd if is_end && matches!(self.ended, 0 | END_LEN) => Ok(true),
            Status::StreamEnd if is_end => Err(DecodeError::Deflate),
            // A block may be marked as the last one (RFC 7692, section 7.2.3.4), and others may come behind it. Some
            // clients do not send the byte that belongs behind it.
            Status::StreamEnd if input.is_empty() => Ok(true),
            Status::StreamEnd => {
                self.state.reset(false);
                Ok(false)
            }
            Status::Ok | Status::BufError if read + wrote == 0 => Err(DecodeError::Deflate),
            Status::Ok | Status::BufError => Ok(false),
        }
    }

    /// More of the message. Its memory doubles, but is never larger than a message may be.
    fn add(&mut self, more: &[u8]) -> Result<(), DecodeError> {
        let (size, max_size) = (self.message.len() + more.len(), self.max_message);
        if size > max_size {
            return Err(tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }).into());
        }
        if size > self.message.capacity() {
            let room = (2 * self.message.capacity()).clamp(size, max_size);
            self.message.reserve_exact(room - self.message.len());
        }
        self.message.extend_from_slice(more);
        Ok(())
    }

    fn message(mut self) -> Vec<u8> {
        // Nothing of this message is left for the next one.
        self.state.reset(false);
        IDLE.set(Some(self.state));
        self.message
    }
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self(TURN)
    }

    fn is_over(&self) -> bool {
        self.0 == 0
    }

    fn spend(&mut self, read: usize, wrote: usize) {
        let cost = COST_OF_PART + COST_OF_READ * read + wrote;
        self.0 = self.0.saturating_sub(u32::try_from(cost).unwrap_or(u32::MAX));
    }
}

impl Encoded {
    /// The same messages without compression.
    pub fn inflated(self) -> Self {
        if !self.is_compressed() {
            return self;
        }
        let mut bytes = Vec::new();
        for frame in self.split() {
            // A header is no part of the payload.
            let plain = plain(&frame, self.payload_len() + MAX_HEADER);
            bytes.extend_from_slice(plain.as_ref().unwrap_or(&frame).as_bytes());
        }
        Self::from_frames(bytes.into(), self.payload_len(), self.frames())
    }
}

/// A compressed message of ours without compression. None for another frame.
fn plain(frame: &Encoded, max_message: usize) -> Option<Encoded> {
    let header = Header::parse(frame.as_bytes()).filter(Header::is_compressed)?;
    let opcode = Opcode::from_number(header.opcode)?;
    let mut outcome = inflate(opcode, Cow::Borrowed(&frame.payload()), max_message, &mut Turn::new());
    loop {
        match outcome {
            Ok(Outcome::Message(message)) => return Some(Encoded::message(opcode, &message)),
            Ok(Outcome::Unfinished(message)) => outcome = message.go_on(&mut Turn::new()),
            Err(_) => return None,
        }
    }
}
