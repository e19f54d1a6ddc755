//! Messages with a header of the host before what was sent.

use crate::deflate::TAIL;
use crate::encoded::Encoded;
use crate::header::{Header, MAX_UNMASKED, Opcode, Unmasked};

/// The longest header: a stored block of deflate has at most so many bytes.
pub const MAX_HEADER: usize = u16::MAX as usize;

/// What a stored block of deflate has before its content: three bits and padding, the length, and its complement.
const STORED: usize = 5;

impl Encoded {
    /// The same messages, each with `header` before its payload. The lengths of the payloads stay those of the messages.
    ///
    /// A message that is compressed is not compressed again: its data begins with a block that is stored as it is (RFC 1951,
    /// section 3.2.4), and what follows refers only to itself. So a message is compressed once, whatever headers it gets.
    /// A header is at most [`MAX_HEADER`] bytes; more are cut off.
    pub fn with_header(&self, header: &[u8]) -> Self {
        let header = header.get(..header.len().min(MAX_HEADER)).unwrap_or_default();
        let frames = self.frames();
        let mut bytes = Vec::with_capacity(self.as_bytes().len() + frames * (header.len() + MAX_UNMASKED + STORED));
        for frame in self.split() {
            add(&frame, header, &mut bytes);
        }
        Self::from_frames(bytes.into(), self.payload_len(), frames)
    }
}

fn add(frame: &Encoded, header: &[u8], bytes: &mut Vec<u8>) {
    let parsed = Header::parse(frame.as_bytes());
    let opcode = parsed.and_then(|parsed| Opcode::from_number(parsed.opcode));
    let (Some(parsed), Some(opcode @ (Opcode::Text | Opcode::Binary))) = (parsed, opcode) else {
        bytes.extend_from_slice(frame.as_bytes());
        return;
    };
    let payload = frame.as_bytes().get(parsed.length..).unwrap_or_default();
    if parsed.is_compressed() {
        let length = STORED + header.len() + payload.len();
        bytes.extend_from_slice(Unmasked::compressed(opcode, length).as_bytes());
        // Cut off to 65,535 above.
        let length = header.len() as u16;
        bytes.push(TAIL[0]);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&(!length).to_le_bytes());
    } else {
        bytes.extend_from_slice(Unmasked::new(opcode, header.len() + payload.len()).as_bytes());
    }
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use crate::{Deflate, Encoded, Payload, Window};

    #[test]
    fn a_header_comes_before_each_message_whether_it_is_compressed_or_not() {
        let long = "hello ".repeat(20_000);
        let texts = ["", "a", "hello hello hello hello hello hello", &long];
        for window in [Window::Full, Window::Small] {
            let how = Deflate { window, level: 2, min_bytes: 1 };
            for header in ["\n", "{\"topic\":\"room\"}\n", &"x".repeat(65_535)] {
                let messages = Encoded::messages(texts.iter().map(|text| Payload::text(text)));
                let expected: Vec<Encoded> =
                    texts.iter().map(|text| Encoded::text(&format!("{header}{text}"))).collect();
                let plain = messages.with_header(header.as_bytes());
                assert_eq!(plain.split().collect::<Vec<_>>(), expected);
                assert_eq!((plain.frames(), plain.payload_len()), (4, messages.payload_len()));
                let compressed = messages.deflated(how).with_header(header.as_bytes());
                assert!(compressed.is_compressed());
                assert_eq!(compressed.inflated().as_bytes(), plain.as_bytes());
            }
        }
    }

    #[test]
    fn control_frames_have_no_header() {
        assert_eq!(Encoded::ping().with_header(b"header"), Encoded::ping());
    }
}
