//! Messages in the packed form of the contract (`types.packed-messages` in `wit/`): one piece of memory for a whole batch
//! instead of one for each message.

use std::str::Utf8Error;

use bytes::{Buf, Bytes};

use crate::encoded::Encoded;
use crate::header::{Opcode, Unmasked};

/// The bytes of a head, which comes before each payload.
const HEAD: usize = 4;

/// The bit of a head that says that the message is a text.
const TEXT: u32 = 1 << 31;

/// A block that the C library copies with vector instructions.
const COPIED_AT_ONCE: usize = 1 << 10;

/// The longest payload for which a frame's header is not longer than a head.
const LONGEST_IN_PLACE: usize = u16::MAX as usize;

/// The payload of a message. That of a text is UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    is_text: bool,
    bytes: &'a [u8],
}

/// Messages in the packed form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    messages: usize,
}

/// Bytes that are not packed messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// The last message has not all of its bytes.
    #[error("the last of the packed messages is incomplete")]
    Incomplete,
    /// A text is not UTF-8.
    #[error("a text of the packed messages is not UTF-8")]
    NotUtf8,
}

impl<'a> Payload<'a> {
    /// The payload of a text message.
    pub const fn text(text: &'a str) -> Self {
        Self { is_text: true, bytes: text.as_bytes() }
    }

    /// The payload of a binary message.
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self { is_text: false, bytes }
    }

    /// The payload of a text message that is known to be UTF-8.
    #[inline]
    pub(crate) const fn known_text(bytes: &'a [u8]) -> Self {
        Self { is_text: true, bytes }
    }

    /// The payload of a text message, if it is UTF-8.
    #[inline]
    pub(crate) fn checked_text(bytes: &'a [u8]) -> Result<Self, Utf8Error> {
        // Most texts are ASCII, which is found out several times faster.
        if !bytes.is_ascii() {
            std::str::from_utf8(bytes)?;
        }
        Ok(Self::known_text(bytes))
    }

    /// Whether the message is a text.
    #[inline]
    pub const fn is_text(self) -> bool {
        self.is_text
    }

    /// The bytes.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The text of a text message.
    pub fn as_text(self) -> Option<&'a str> {
        self.is_text.then(|| std::str::from_utf8(self.bytes).ok()).flatten()
    }

    /// The first `length` bytes, and a payload of the others. None if the payload is shorter, or the text would be cut in the
    /// middle of a character.
    pub fn split_at(self, length: usize) -> Option<(&'a [u8], Self)> {
        let (before, after) = self.bytes.split_at_checked(length)?;
        // The first byte of what follows continues a character.
        if self.is_text && after.first().is_some_and(|byte| byte & 0xC0 == 0x80) {
            return None;
        }
        Some((before, Self { is_text: self.is_text, bytes: after }))
    }

    pub(crate) fn header(self) -> Unmasked {
        Unmasked::new(opcode(self.is_text), self.bytes.len())
    }
}

impl Packed {
    /// Add a message. One of 2 GiB or more, whose length does not fit into a head, is left out.
    #[inline]
    pub fn push(&mut self, message: Payload<'_>) {
        let payload = message.as_bytes();
        let Some(length) = u32::try_from(payload.len()).ok().filter(|length| length & TEXT == 0) else { return };
        let head = length | if message.is_text { TEXT } else { 0 };
        self.bytes.reserve(HEAD + payload.len());
        self.bytes.extend_from_slice(&head.to_le_bytes());
        // Large blocks are copied with `rep movsb`, which many processors do several times slower, depending on the addresses.
        payload.chunks(COPIED_AT_ONCE).for_each(|part| self.bytes.extend_from_slice(part));
        self.messages += 1;
    }

    /// Make room for a message of so many bytes.
    #[inline]
    pub fn reserve(&mut self, payload: usize) {
        self.bytes.reserve(HEAD + payload);
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// The packed form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The messages in their order.
    pub fn iter(&self) -> impl Iterator<Item = Payload<'_>> {
        // Texts were texts when they were added.
        parts(&self.bytes).map_while(|part| part.and_then(payload).ok())
    }
}

impl Encoded {
    /// Messages in the packed form as frames, in the memory of `packed`.
    ///
    /// # Errors
    /// If they are not in that form.
    pub fn from_packed(mut packed: Vec<u8>) -> Result<Self, PackedError> {
        let (mut frames, mut length, mut longest) = (0, 0, 0);
        for part in parts(&packed) {
            let bytes = payload(part?)?.as_bytes().len();
            (frames, length, longest) = (frames + 1, length + bytes, longest.max(bytes));
        }
        if longest > LONGEST_IN_PLACE {
            return Ok(Self::messages(parts(&packed).map_while(|part| part.and_then(payload).ok())));
        }
        if frames == 1 {
            return Ok(Self::one_from_packed(packed));
        }
        let (mut from, mut to) = (0, 0);
        while let Some((is_text, payload)) = head(&packed, from) {
            let header = Unmasked::new(opcode(is_text), payload);
            let header = header.as_bytes();
            // A header is not longer than a head, so nothing is overwritten that is still to be moved.
            if let Some(place) = packed.get_mut(to..to + header.len()) {
                place.copy_from_slice(header);
            }
            let (start, end) = (from + HEAD, from + HEAD + payload);
            to += header.len();
            if to != start {
                packed.copy_within(start..end, to);
            }
            (from, to) = (end, to + payload);
        }
        packed.truncate(to);
        Ok(Self::from_frames(packed.into(), length, frames))
    }

    /// One message, whose payload stays where it is.
    fn one_from_packed(mut packed: Vec<u8>) -> Self {
        let Some((is_text, payload)) = head(&packed, 0) else { return Self::messages(std::iter::empty()) };
        let header = Unmasked::new(opcode(is_text), payload);
        let begin = HEAD.saturating_sub(header.as_bytes().len());
        if let Some(place) = packed.get_mut(begin..HEAD) {
            place.copy_from_slice(header.as_bytes());
        }
        let mut frame = Bytes::from(packed);
        frame.advance(begin);
        Self::from_frames(frame, payload, 1)
    }
}

fn opcode(is_text: bool) -> Opcode {
    if is_text { Opcode::Text } else { Opcode::Binary }
}

/// Whether the message at `place` is a text, and the length of its payload.
#[inline]
fn head(packed: &[u8], place: usize) -> Option<(bool, usize)> {
    let head = u32::from_le_bytes(*packed.get(place..)?.first_chunk::<HEAD>()?);
    Some((head & TEXT != 0, (head & !TEXT) as usize))
}

/// Whether each message is a text, and its payload. An error is the last item.
#[inline]
fn parts(packed: &[u8]) -> impl Iterator<Item = Result<(bool, &[u8]), PackedError>> + Clone {
    let mut rest = Some(packed);
    std::iter::from_fn(move || {
        let packed = rest.take().filter(|packed| !packed.is_empty())?;
        let part = head(packed, 0).and_then(|(is_text, length)| {
            let (payload, after) = packed.get(HEAD..)?.split_at_checked(length)?;
            Some((is_text, payload, after))
        });
        let Some((is_text, payload, after)) = part else { return Some(Err(PackedError::Incomplete)) };
        rest = Some(after);
        Some(Ok((is_text, payload)))
    })
}

#[inline]
fn payload((is_text, bytes): (bool, &[u8])) -> Result<Payload<'_>, PackedError> {
    match is_text {
        true => Payload::checked_text(bytes).map_err(|_| PackedError::NotUtf8),
        false => Ok(Payload::binary(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(messages: &[Payload<'_>]) -> Packed {
        let mut packed = Packed::default();
        messages.iter().for_each(|message| packed.push(*message));
        packed
    }

    #[test]
    fn the_form_is_that_of_the_contract() {
        let packed = packed(&[Payload::text("hi"), Payload::binary(&[0xff])]);
        assert_eq!(packed.as_bytes(), [0x02, 0, 0, 0x80, b'h', b'i', 0x01, 0, 0, 0, 0xff]);
        assert_eq!(packed.iter().collect::<Vec<_>>(), [Payload::text("hi"), Payload::binary(&[0xff])]);
    }

    /// All lengths at which the header of a frame changes its length, in every order.
    #[test]
    fn packed_messages_become_the_same_frames_as_others() {
        let lengths = [0, 1, 125, 126, 127, 4_000, 65_535, 65_536, 70_000];
        let text = "x".repeat(70_000);
        let mut messages = Vec::new();
        for first in lengths {
            for second in lengths {
                for third in [0, 126, 65_536] {
                    let message = |length: usize| match length % 2 {
                        0 => Payload::text(&text[..length]),
                        _ => Payload::binary(&text.as_bytes()[..length]),
                    };
                    messages = vec![message(first), message(second), message(third)];
                    let encoded = Encoded::from_packed(packed(&messages).as_bytes().to_vec()).unwrap();
                    assert!(encoded == Encoded::messages(messages.iter().copied()), "{first}, {second}, {third}");
                }
            }
        }
        assert_eq!(messages.len(), 3);
        assert_eq!(Encoded::from_packed(Vec::new()), Ok(Encoded::messages(std::iter::empty())));
    }

    #[test]
    fn bytes_that_are_not_packed_messages_are_refused() {
        let whole = packed(&[Payload::text("ab"), Payload::binary(&[1, 2, 3])]).as_bytes().to_vec();
        // The lengths after which a message ends are complete.
        for end in (0..whole.len()).filter(|end| ![0, 6].contains(end)) {
            assert_eq!(Encoded::from_packed(whole[..end].to_vec()), Err(PackedError::Incomplete), "{end} bytes");
        }
        let mut broken = whole;
        broken[4] = 0xff;
        assert_eq!(Encoded::from_packed(broken), Err(PackedError::NotUtf8));
        assert_eq!(Encoded::from_packed(vec![0xff; 4]), Err(PackedError::Incomplete));
    }
}
