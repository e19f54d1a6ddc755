//! What a server sends: frames that are encoded once, and shared by all connections that they are sent to.

use bytes::Bytes;
use tungstenite::protocol::CloseFrame;

use crate::header::{self, Opcode};

/// The longest payload of a control frame in bytes (RFC 6455, section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest header of a frame that is not masked.
const MAX_HEADER: usize = 10;

/// The bytes of a frame. A clone shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    frame: Bytes,
    header: u8,
}

impl Encoded {
    /// A text message in one frame.
    #[inline]
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::Text, &[text.as_bytes()])
    }

    /// A binary message in one frame.
    #[inline]
    pub fn binary(data: &[u8]) -> Self {
        Self::new(Opcode::Binary, &[data])
    }

    /// A ping without a payload.
    pub fn ping() -> Self {
        Self::new(Opcode::Ping, &[])
    }

    /// The answer to a ping, which has the ping's payload.
    pub fn pong(payload: &[u8]) -> Self {
        Self::new(Opcode::Pong, &[payload])
    }

    /// A close frame, perhaps without a code. A reason that is longer than a control frame allows is cut off.
    pub fn close(close: Option<&CloseFrame>) -> Self {
        let Some(close) = close else { return Self::new(Opcode::Close, &[]) };
        let reason = &close.reason.as_str();
        let end = reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - 2);
        let reason = reason.get(..end).unwrap_or_default();
        Self::new(Opcode::Close, &[&u16::from(close.code).to_be_bytes(), reason.as_bytes()])
    }

    #[inline]
    fn new(opcode: Opcode, payload: &[&[u8]]) -> Self {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let mut frame = Vec::with_capacity(MAX_HEADER + length);
        header::write(opcode, length, &mut frame);
        let header = frame.len() as u8;
        payload.iter().for_each(|part| frame.extend_from_slice(part));
        Self { frame: frame.into(), header }
    }

    /// The bytes to send.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.frame
    }

    /// The length of the payload in bytes.
    #[inline]
    pub fn payload_len(&self) -> usize {
        self.frame.len() - usize::from(self.header)
    }

    /// The payload. It shares the bytes of the frame.
    pub fn payload(&self) -> Bytes {
        self.frame.slice(usize::from(self.header)..)
    }

    /// The text of a text message; none for another frame.
    pub fn as_text(&self) -> Option<&str> {
        let is_text = self.frame.first().is_some_and(|first| first & 0x0F == Opcode::Text as u8);
        let payload = is_text.then(|| self.frame.get(usize::from(self.header)..)).flatten()?;
        // It was made from a text.
        std::str::from_utf8(payload).ok()
    }
}
