//! What a server receives: frames become messages.

use std::borrow::Cow;

use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Data};

use crate::encoded::MAX_CONTROL_PAYLOAD;
use crate::header::{Header, Opcode};
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

/// Decodes the frames of one client. While nothing is incomplete, it holds no memory of its own.
#[derive(Debug)]
pub struct Decoder {
    /// The maximum length of a message in bytes.
    max_message: usize,
    /// The beginning of a frame whose rest has not arrived. It grows with what arrives, not with what a header claims.
    partial: Vec<u8>,
    /// A message whose last frame has not arrived.
    message: Option<Box<Fragments>>,
}

#[derive(Debug)]
struct Fragments {
    is_text: bool,
    data: Vec<u8>,
    /// How much of a text is known to be UTF-8. The rest is a character that may continue in the next frame.
    valid: usize,
}

/// A frame that is complete and unmasked.
struct Frame<'a> {
    header: Header,
    payload: Cow<'a, [u8]>,
}

impl Decoder {
    /// A decoder for a client whose messages have at most `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self { max_message, partial: Vec::new(), message: None }
    }

    /// Decode the next message or control frame, and advance `input` past it. None if there is no complete one: then all
    /// of `input` was taken.
    ///
    /// # Errors
    /// If the client violates the protocol, a text is not UTF-8, or a message is too large. Nothing can be decoded after
    /// an error.
    #[inline]
    pub fn decode<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Incoming<'a>>, Error> {
        while let Some(frame) = self.frame(input)? {
            if let Some(incoming) = self.interpret(frame)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    /// How many bytes the decoder holds in memory for what is not complete.
    pub fn held(&self) -> usize {
        self.partial.capacity() + self.message.as_ref().map_or(0, |message| message.data.capacity())
    }

    /// The next frame, if it is complete.
    #[inline]
    fn frame<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Frame<'a>>, Error> {
        if !self.partial.is_empty() {
            return self.continued_frame(input);
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
        self.partial.extend_from_slice(input);
        *input = &mut [];
        None
    }

    /// A frame whose beginning arrived before `input`.
    fn continued_frame<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Frame<'a>>, Error> {
        loop {
            let header = Header::parse(&self.partial);
            let wanted = match &header {
                Some(header) => self.frame_length(header)?,
                None => Header::length_of(&self.partial),
            };
            let missing = wanted.saturating_sub(self.partial.len());
            if let (0, Some(header)) = (missing, header) {
                let mut payload = std::mem::take(&mut self.partial);
                payload.drain(..header.length);
                unmask(&header, &mut payload)?;
                return Ok(Some(Frame { header, payload: Cow::Owned(payload) }));
            }
            if input.is_empty() {
                return Ok(None);
            }
            let available = missing.min(input.len());
            let (taken, rest) = std::mem::take(input).split_at_mut(available);
            self.make_room(available, wanted);
            self.partial.extend_from_slice(taken);
            *input = rest;
        }
    }

    /// Room for so many bytes more, of a frame that has `wanted` bytes. It doubles, but is never larger than the frame.
    fn make_room(&mut self, more: usize, wanted: usize) {
        let length = self.partial.len() + more;
        if length > self.partial.capacity() {
            let room = (2 * self.partial.capacity()).clamp(length, wanted.max(length));
            self.partial.reserve_exact(room - self.partial.len());
        }
    }

    /// The length of the whole frame. A frame that is too large is refused before it arrives.
    #[inline]
    fn frame_length(&self, header: &Header) -> Result<usize, Error> {
        if Opcode::from_number(header.opcode).is_none() {
            return Err(Error::Protocol(ProtocolError::InvalidOpcode(header.opcode)));
        }
        let payload = usize::try_from(header.payload).unwrap_or(usize::MAX);
        self.check_length(payload)?;
        Ok(header.length + payload)
    }

    #[inline]
    fn check_length(&self, size: usize) -> Result<(), Error> {
        match size <= self.max_message {
            true => Ok(()),
            false => Err(Error::Capacity(CapacityError::MessageTooLong { size, max_size: self.max_message })),
        }
    }

    /// What a frame means. None if it is a part of a message that is not complete.
    #[inline]
    fn interpret<'a>(&mut self, frame: Frame<'a>) -> Result<Option<Incoming<'a>>, Error> {
        let Frame { header, payload } = frame;
        if header.has_reserved_bits {
            return violation(ProtocolError::NonZeroReservedBits);
        }
        let opcode = Opcode::from_number(header.opcode);
        match opcode {
            Some(Opcode::Text | Opcode::Binary) if self.message.is_some() => {
                let data = if opcode == Some(Opcode::Text) { Data::Text } else { Data::Binary };
                violation(ProtocolError::ExpectedFragment(data))
            }
            Some(Opcode::Text) if header.is_final => Ok(Some(Incoming::Text(text(payload)?))),
            Some(Opcode::Binary) if header.is_final => Ok(Some(Incoming::Binary(payload))),
            Some(Opcode::Text | Opcode::Binary) => {
                let is_text = opcode == Some(Opcode::Text);
                let first = Fragments { is_text, data: payload.into_owned(), valid: 0 };
                self.message.insert(Box::new(first)).validate()?;
                Ok(None)
            }
            Some(Opcode::Continuation) => self.continuation(header.is_final, &payload),
            Some(Opcode::Close | Opcode::Ping | Opcode::Pong) | None => control(&header, opcode, payload).map(Some),
        }
    }

    /// Another part of the message that is not complete.
    fn continuation<'a>(&mut self, is_last: bool, payload: &[u8]) -> Result<Option<Incoming<'a>>, Error> {
        let Some(message) = &self.message else { return violation(ProtocolError::UnexpectedContinueFrame) };
        self.check_length(message.data.len() + payload.len())?;
        let Some(mut message) = self.message.take() else { return Ok(None) };
        message.data.extend_from_slice(payload);
        message.validate()?;
        if !is_last {
            self.message = Some(message);
            return Ok(None);
        }
        let Fragments { is_text, data, .. } = *message;
        Ok(Some(match is_text {
            true => Incoming::Text(text(Cow::Owned(data))?),
            false => Incoming::Binary(Cow::Owned(data)),
        }))
    }
}

impl Fragments {
    /// Find out as early as possible that a text is not UTF-8.
    fn validate(&mut self) -> Result<(), Error> {
        if !self.is_text {
            return Ok(());
        }
        let unknown = self.data.get(self.valid..).unwrap_or_default();
        match std::str::from_utf8(unknown) {
            Ok(_) => self.valid = self.data.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(error) => return Err(Error::Utf8(error.to_string())),
        }
        Ok(())
    }
}

/// RFC 6455, section 5.1: a client masks all of its frames.
#[inline]
fn unmask(header: &Header, payload: &mut [u8]) -> Result<(), Error> {
    match header.mask {
        Some(mask) => {
            mask::apply(payload, mask);
            Ok(())
        }
        None => Err(Error::Protocol(ProtocolError::UnmaskedFrameFromClient)),
    }
}

/// RFC 6455, section 5.5: control frames are short and not fragmented.
fn control<'a>(header: &Header, opcode: Option<Opcode>, payload: Cow<'a, [u8]>) -> Result<Incoming<'a>, Error> {
    if !header.is_final {
        return violation(ProtocolError::FragmentedControlFrame);
    }
    if payload.len() > MAX_CONTROL_PAYLOAD {
        return violation(ProtocolError::ControlFrameTooBig);
    }
    match opcode {
        Some(Opcode::Ping) => Ok(Incoming::Ping(payload)),
        Some(Opcode::Pong) => Ok(Incoming::Pong(payload)),
        _ => Ok(Incoming::Close(close(&payload)?)),
    }
}

/// RFC 6455, section 5.5.1: nothing, or a code and perhaps a reason.
fn close(payload: &[u8]) -> Result<Option<CloseFrame>, Error> {
    match payload {
        [] => Ok(None),
        [_] => violation(ProtocolError::InvalidCloseSequence),
        [high, low, reason @ ..] => {
            let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
            let reason = std::str::from_utf8(reason).map_err(|error| Error::Utf8(error.to_string()))?;
            Ok(Some(CloseFrame { code, reason: reason.into() }))
        }
    }
}

#[inline]
fn text(payload: Cow<'_, [u8]>) -> Result<Text<'_>, Error> {
    match Payload::checked_text(&payload) {
        Ok(_) => Ok(Text(payload)),
        Err(error) => Err(Error::Utf8(error.to_string())),
    }
}

impl Text<'_> {
    /// The payload of the message.
    #[inline]
    pub fn payload(&self) -> Payload<'_> {
        Payload::known_text(&self.0)
    }
}

fn violation<T>(error: ProtocolError) -> Result<T, Error> {
    Err(Error::Protocol(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_decoder_holds_no_memory() {
        let mut decoder = Decoder::new(1 << 20);
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
