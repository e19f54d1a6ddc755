//! What a server sends: frames that are encoded once, and shared by all connections that they are sent to.

use bytes::Bytes;
use tungstenite::protocol::CloseFrame;

use crate::header::{Header, MAX_UNMASKED, Opcode, Unmasked};
use crate::packed::Payload;

/// The longest payload of a control frame in bytes (RFC 6455, section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The bytes of one frame, or of several that are sent together. A clone shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    bytes: Bytes,
    // Small, because each idle connection keeps room for some of these. All of it is in memory, so it is less than 4 GiB.
    payload: u32,
    frames: u32,
}

impl Encoded {
    /// A text message in one frame.
    #[inline]
    pub fn text(text: &str) -> Self {
        Self::frame(Opcode::Text, &[text.as_bytes()])
    }

    /// A binary message in one frame.
    #[inline]
    pub fn binary(data: &[u8]) -> Self {
        Self::frame(Opcode::Binary, &[data])
    }

    /// Messages that are sent together, each in one frame.
    pub fn messages<'a>(messages: impl Iterator<Item = Payload<'a>> + Clone) -> Self {
        let (frames, payload) = messages
            .clone()
            .fold((0, 0), |(frames, payload), message| (frames + 1, payload + message.as_bytes().len()));
        let mut bytes = Vec::with_capacity(frames * MAX_UNMASKED + payload);
        for message in messages {
            bytes.extend_from_slice(message.header().as_bytes());
            bytes.extend_from_slice(message.as_bytes());
        }
        Self::from_frames(bytes.into(), payload, frames)
    }

    /// A ping without a payload.
    pub fn ping() -> Self {
        Self::frame(Opcode::Ping, &[])
    }

    /// The answer to a ping, which has the ping's payload.
    pub fn pong(payload: &[u8]) -> Self {
        Self::frame(Opcode::Pong, &[payload])
    }

    /// A close frame, perhaps without a code. A reason that is longer than a control frame allows is cut off.
    pub fn close(close: Option<&CloseFrame>) -> Self {
        let Some(close) = close else { return Self::frame(Opcode::Close, &[]) };
        let reason = &close.reason.as_str();
        let end = reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - 2);
        let reason = reason.get(..end).unwrap_or_default();
        Self::frame(Opcode::Close, &[&u16::from(close.code).to_be_bytes(), reason.as_bytes()])
    }

    /// A message in one frame.
    pub(crate) fn message(opcode: Opcode, payload: &[u8]) -> Self {
        Self::frame(opcode, &[payload])
    }

    #[inline]
    fn frame(opcode: Opcode, parts: &[&[u8]]) -> Self {
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(MAX_UNMASKED + payload);
        bytes.extend_from_slice(Unmasked::new(opcode, payload).as_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Self::from_frames(bytes.into(), payload, 1)
    }

    /// Frames that are encoded already.
    pub(crate) fn from_frames(bytes: Bytes, payload: usize, frames: usize) -> Self {
        let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { bytes, payload: small(payload), frames: small(frames) }
    }

    /// The bytes to send.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many frames these are.
    #[inline]
    pub fn frames(&self) -> usize {
        self.frames as usize
    }

    /// The length of all payloads together in bytes.
    #[inline]
    pub fn payload_len(&self) -> usize {
        self.payload as usize
    }

    /// The same frames, in bytes that are kept in another way. They must be the same bytes.
    ///
    /// # Errors
    /// Those of `keep`.
    pub fn kept<E>(self, keep: impl FnOnce(Bytes) -> Result<Bytes, E>) -> Result<Self, E> {
        Ok(Self { bytes: keep(self.bytes)?, ..self })
    }

    /// Whether any of the messages is compressed.
    pub fn is_compressed(&self) -> bool {
        self.headers().any(|header| header.is_compressed())
    }

    /// The headers of the frames.
    pub(crate) fn headers(&self) -> impl Iterator<Item = Header> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || {
            let header = Header::parse(rest)?;
            let length = usize::try_from(header.payload).map_or(usize::MAX, |payload| header.length + payload);
            rest = rest.get(length..).unwrap_or_default();
            Some(header)
        })
    }

    /// Each of the frames. They share the bytes.
    pub fn split(&self) -> impl Iterator<Item = Self> {
        let mut rest = self.bytes.clone();
        std::iter::from_fn(move || {
            let header = Header::parse(&rest)?;
            let payload = usize::try_from(header.payload).ok()?;
            let bytes = rest.split_to(rest.len().min(header.length + payload));
            Some(Self::from_frames(bytes, payload, 1))
        })
    }

    /// The payload of the first frame. It shares the bytes of the frame.
    pub fn payload(&self) -> Bytes {
        let Some(header) = Header::parse(&self.bytes) else { return Bytes::new() };
        let end = usize::try_from(header.payload).map_or(self.bytes.len(), |payload| header.length + payload);
        self.bytes.slice(header.length..end.min(self.bytes.len()))
    }

    /// The text of a text message; none for another frame, and for one that is compressed.
    pub fn as_text(&self) -> Option<&str> {
        let is_text = |header: &Header| header.opcode == Opcode::Text as u8 && header.reserved == 0;
        let header = Header::parse(&self.bytes).filter(is_text)?;
        let payload = self.bytes.get(header.length..)?;
        // It was made from a text.
        std::str::from_utf8(payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_sent_together_can_be_told_apart() {
        let long = "x".repeat(70_000);
        let messages = [Payload::text("a"), Payload::binary(&[]), Payload::text(&long), Payload::binary(&[7; 126])];
        let together = Encoded::messages(messages.into_iter());
        let apart = [Encoded::text("a"), Encoded::binary(&[]), Encoded::text(&long), Encoded::binary(&[7; 126])];
        assert_eq!((together.frames(), together.payload_len()), (4, 1 + 70_000 + 126));
        assert_eq!(together.split().collect::<Vec<_>>(), apart);
        assert_eq!(together.as_bytes(), apart.iter().flat_map(Encoded::as_bytes).copied().collect::<Vec<_>>());
        assert_eq!(
            (apart[3].payload().to_vec(), apart[0].as_text(), apart[1].as_text()),
            (vec![7; 126], Some("a"), None)
        );
    }
}
