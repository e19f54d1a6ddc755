//! What a server receives: frames become messages.

use std::borrow::Cow;

use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::Data;

use crate::control::control;
use crate::fragments::Fragments;
use crate::header::{Header, Opcode};
use crate::inflate::{Inflating, Outcome, Turn, inflate};
use crate::mask;
use crate::packed::Payload;

/// What a client sent: a message, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message.
    Text(Text<'a>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping. The answer has the same payload.
    Ping(Cow<'a, [u8]>),
    /// The answer to a ping.
    Pong(Cow<'a, [u8]>),
    /// The last frame of a client, perhaps without a code. The code is as it was sent: it may be one that no endpoint may
    /// send.
    Close(Option<CloseFrame>),
}

/// The text of a text message: UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, [u8]>);

/// Whether a client may compress its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// It may not.
    None,
    /// `permessage-deflate` was [negotiated](crate::negotiate).
    Deflate,
}

/// What a client sent cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It violates RFC 6455, is not UTF-8, or is too large.
    #[error(transparent)]
    Frame(#[from] Error),
    /// A message is not what compressed data looks like (RFC 7692, section 7.2.2).
    #[error("a message is not valid compressed data")]
    Deflate,
}

/// Decodes the frames of one client. While nothing is incomplete, it holds no memory of its own.
#[derive(Debug)]
pub struct Decoder {
    /// The maximum length of a message in bytes.
    max_message: usize,
    rest: Rest,
    /// A message whose last frame has not arrived.
    message: Option<Box<Fragments>>,
    compression: Compression,
    /// How much may be decompressed before others have a turn.
    turn: Turn,
}

/// What comes before anything that arrives now.
#[derive(Debug)]
enum Rest {
    Nothing,
    /// The beginning of a frame whose rest has not arrived. It grows with what arrives, not with what a header claims.
    Frame(Vec<u8>),
    /// A message that is being decompressed.
    Message(Box<Inflating>),
}

/// A frame that is complete and unmasked.
struct Frame<'a> {
    header: Header,
    payload: Cow<'a, [u8]>,
}

impl Decoder {
    /// A decoder for a client whose messages have at most `max_message` bytes.
    pub fn new(max_message: usize, compression: Compression) -> Self {
        Self { max_message, rest: Rest::Nothing, message: None, compression, turn: Turn::new() }
    }

    /// Decode the next message or control frame, and advance `input` past it. None if there is no complete one: then all
    /// of `input` was taken, unless the decoder [is busy](Self::is_busy).
    ///
    /// # Errors
    /// If the client violates the protocol, a text is not UTF-8, or a message is too large. Nothing can be decoded after
    /// an error.
    #[inline]
    pub fn decode<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Incoming<'a>>, DecodeError> {
        while let Some(frame) = self.frame(input)? {
            if let Some(incoming) = self.interpret(frame)? {
                return Ok(Some(incoming));
            }
            if self.is_busy() {
                break;
            }
        }
        Ok(None)
    }

    /// Whether the decoder has stopped in the middle of a compressed message, so that other tasks of the thread have a
    /// turn. The next call of [`decode`](Self::decode) goes on, also without anything more in its input.
    pub fn is_busy(&self) -> bool {
        matches!(self.rest, Rest::Message(_))
    }

    /// How many bytes the decoder holds in memory for what is not complete.
    pub fn held(&self) -> usize {
        let rest = match &self.rest {
            Rest::Nothing => 0,
            Rest::Frame(partial) => partial.capacity(),
            Rest::Message(message) => message.held(),
        };
        rest + self.message.as_ref().map_or(0, |message| message.data.capacity())
    }

    /// The next frame, if it is complete.
    #[inline]
    fn frame<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Frame<'a>>, DecodeError> {
        if !matches!(self.rest, Rest::Nothing) {
            return self.continued(input);
        }
        let Some(header) = Header::parse(input) else { return Ok(self.keep(input)) };
        let length = self.frame_length(&header)?;
        if input.len() < length {
            return Ok(self.keep(input));
        }
        let (frame, rest) = std::mem::take(input).split_at_mut(length);
        *input = rest;
        let payload = frame.get_mut(header.length..).unwrap_or_default();
        unmask(&header, payload)?;
        Ok(Some(Frame { header, payload: Cow::Borrowed(payload) }))
    }

    /// Keep all of `input` until more arrives.
    fn keep<T>(&mut self, input: &mut &mut [u8]) -> Option<T> {
        if !input.is_empty() {
            self.rest = Rest::Frame(input.to_vec());
            *input = &mut [];
        }
        None
    }

    /// What began before `input`.
    fn continued<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Frame<'a>>, DecodeError> {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => Ok(None),
            Rest::Frame(partial) => self.continued_frame(partial, input),
            Rest::Message(message) => {
                self.turn = Turn::new();
                let opcode = message.opcode;
                let outcome = message.go_on(&mut self.turn)?;
                Ok(self.inflated(opcode, outcome))
            }
        }
    }

    /// A frame whose beginning arrived before `input`.
    fn continued_frame<'a>(
        &mut self,
        mut partial: Vec<u8>,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Frame<'a>>, DecodeError> {
        loop {
            let header = Header::parse(&partial);
            let wanted = match &header {
                Some(header) => self.frame_length(header)?,
                None => Header::length_of(&partial),
            };
            let missing = wanted.saturating_sub(partial.len());
            if let (0, Some(header)) = (missing, header) {
                partial.drain(..header.length);
                unmask(&header, &mut partial)?;
                return Ok(Some(Frame { header, payload: Cow::Owned(partial) }));
            }
            if input.is_empty() {
                self.rest = Rest::Frame(partial);
                return Ok(None);
            }
            let available = missing.min(input.len());
            let (taken, rest) = std::mem::take(input).split_at_mut(available);
            make_room(&mut partial, available, wanted);
            partial.extend_from_slice(taken);
            *input = rest;
        }
    }

    /// The length of the whole frame. A frame that is too large is refused before it arrives.
    #[inline]
    fn frame_length(&self, header: &Header) -> Result<usize, DecodeError> {
        if Opcode::from_number(header.opcode).is_none() {
            return violation(ProtocolError::InvalidOpcode(header.opcode));
        }
        let payload = usize::try_from(header.payload).unwrap_or(usize::MAX);
        if payload > self.max_message {
            self.check_length(payload, self.is_of_compressed_message(header))?;
        }
        Ok(header.length + payload)
    }

    fn is_of_compressed_message(&self, header: &Header) -> bool {
        match &self.message {
            Some(message) => message.is_compressed && header.opcode == Opcode::Continuation as u8,
            None => header.is_compressed() && self.compression == Compression::Deflate,
        }
    }

    /// Check the length of a payload that is, or becomes, part of a message.
    fn check_length(&self, size: usize, is_compressed: bool) -> Result<(), DecodeError> {
        let max_size = self.max_message;
        // What cannot be compressed becomes a little longer.
        let more = if is_compressed { max_size / 64 + 64 } else { 0 };
        match size <= max_size.saturating_add(more) {
            true => Ok(()),
            false => Err(Error::Capacity(CapacityError::MessageTooLong { size, max_size }).into()),
        }
    }

    /// What a frame means. None if it is a part of a message that is not complete.
    #[inline]
    fn interpret<'a>(&mut self, frame: Frame<'a>) -> Result<Option<Incoming<'a>>, DecodeError> {
        let Frame { header, payload } = frame;
        if header.reserved != 0 {
            return self.compressed(&header, payload);
        }
        let opcode = Opcode::from_number(header.opcode);
        match opcode {
            Some(Opcode::Text | Opcode::Binary) if self.message.is_some() => expected_fragment(opcode),
            Some(Opcode::Text) if header.is_final => Ok(Some(Incoming::Text(text(payload)?))),
            Some(Opcode::Binary) if header.is_final => Ok(Some(Incoming::Binary(payload))),
            Some(opcode @ (Opcode::Text | Opcode::Binary)) => {
                self.message.insert(Fragments::plain(opcode, payload)).validate()?;
                Ok(None)
            }
            Some(Opcode::Continuation) => self.continuation(header.is_final, &payload),
            Some(Opcode::Close | Opcode::Ping | Opcode::Pong) | None => control(&header, opcode, payload).map(Some),
        }
    }

    /// The first frame of a compressed message, which may be its only one.
    #[cold]
    fn compressed<'a>(&mut self, header: &Header, payload: Cow<'a, [u8]>) -> Result<Option<Incoming<'a>>, DecodeError> {
        let opcode = Opcode::from_number(header.opcode);
        let (Some(opcode), Compression::Deflate, true) = (opcode, self.compression, header.is_compressed()) else {
            return violation(ProtocolError::NonZeroReservedBits);
        };
        if self.message.is_some() {
            return expected_fragment(Some(opcode));
        }
        if header.is_final {
            return self.inflate(opcode, payload);
        }
        self.message = Some(Fragments::compressed(opcode, payload));
        Ok(None)
    }

    /// Another part of the message that is not complete.
    fn continuation<'a>(&mut self, is_last: bool, payload: &[u8]) -> Result<Option<Incoming<'a>>, DecodeError> {
        let Some(message) = &self.message else { return violation(ProtocolError::UnexpectedContinueFrame) };
        self.check_length(message.data.len() + payload.len(), message.is_compressed)?;
        let Some(mut message) = self.message.take() else { return Ok(None) };
        message.data.extend_from_slice(payload);
        message.validate()?;
        if !is_last {
            self.message = Some(message);
            return Ok(None);
        }
        let Fragments { opcode, data, is_compressed, .. } = *message;
        match opcode {
            _ if is_compressed => self.inflate(opcode, Cow::Owned(data)),
            Opcode::Text => Ok(Some(Incoming::Text(text(Cow::Owned(data))?))),
            _ => Ok(Some(Incoming::Binary(Cow::Owned(data)))),
        }
    }

    /// Decompress a message that has arrived. None if that takes longer than a turn.
    fn inflate<'a>(&mut self, opcode: Opcode, data: Cow<'_, [u8]>) -> Result<Option<Incoming<'a>>, DecodeError> {
        let outcome = inflate(opcode, data, self.max_message, &mut self.turn)?;
        match self.inflated(opcode, outcome) {
            Some(message) => self.interpret(message),
            None => Ok(None),
        }
    }

    /// A message that was decompressed means the same as one that was not compressed.
    fn inflated<'a>(&mut self, opcode: Opcode, outcome: Outcome) -> Option<Frame<'a>> {
        match outcome {
            Outcome::Message(message) => {
                Some(Frame { header: Header::of_message(opcode, message.len()), payload: Cow::Owned(message) })
            }
            Outcome::Unfinished(message) => {
                self.rest = Rest::Message(message);
                None
            }
        }
    }
}

/// Room for so many bytes more, of a frame that has `wanted` bytes. It doubles, but is never larger than the frame.
fn make_room(partial: &mut Vec<u8>, more: usize, wanted: usize) {
    let length = partial.len() + more;
    if length > partial.capacity() {
        let room = (2 * partial.capacity()).clamp(length, wanted.max(length));
        partial.reserve_exact(room - partial.len());
    }
}

/// RFC 6455, section 5.1: a client masks all of its frames.
#[inline]
fn unmask(header: &Header, payload: &mut [u8]) -> Result<(), DecodeError> {
    match header.mask {
        Some(mask) => {
            mask::apply(payload, mask);
            Ok(())
        }
        None => violation(ProtocolError::UnmaskedFrameFromClient),
    }
}

#[inline]
fn text(payload: Cow<'_, [u8]>) -> Result<Text<'_>, DecodeError> {
    match Payload::checked_text(&payload) {
        Ok(_) => Ok(Text(payload)),
        Err(error) => Err(Error::Utf8(error.to_string()).into()),
    }
}

impl Text<'_> {
    /// The payload of the message.
    #[inline]
    pub fn payload(&self) -> Payload<'_> {
        Payload::known_text(&self.0)
    }
}

/// A message began before the last one was complete.
fn expected_fragment<T>(opcode: Option<Opcode>) -> Result<T, DecodeError> {
    let data = if opcode == Some(Opcode::Text) { Data::Text } else { Data::Binary };
    violation(ProtocolError::ExpectedFragment(data))
}

pub(crate) fn violation<T>(error: ProtocolError) -> Result<T, DecodeError> {
    Err(Error::Protocol(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_decoder_holds_no_memory() {
        let mut decoder = Decoder::new(1 << 20, Compression::None);
        let mut bytes = vec![0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.resize(14 + (1 << 16), 7);
        let (mut first, mut second) = bytes.split_at_mut(50_000);
        for mut part in first.chunks_mut(7_000) {
            assert_eq!(decoder.decode(&mut part).unwrap(), None);
            assert!(decoder.held() <= 14 + (1 << 16), "more than the whole frame");
        }
        first = &mut [];
        assert_eq!(decoder.decode(&mut second).unwrap(), Some(Incoming::Binary(vec![7; 1 << 16].into())));
        assert_eq!((decoder.held(), first.len(), second.len()), (0, 0, 0));
    }
}
