//! The header of a frame (RFC 6455, section 5.2).

/// Whether the frame is the last one of its message.
const FIN: u8 = 0x80;

/// The bits for extensions.
const RESERVED: u8 = 0x70;

/// The first of them, which says that a message is compressed (RFC 7692, section 6).
const COMPRESSED: u8 = 0x40;

const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;

/// The length byte for a length of two bytes that follows, and for one of eight.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The opcodes that have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) is_final: bool,
    /// The bits for extensions, where they were sent.
    pub(crate) reserved: u8,
    /// As it was sent.
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// The length of the header itself in bytes.
    pub(crate) length: usize,
    /// The length of the payload in bytes.
    pub(crate) payload: u64,
}

impl Header {
    /// The header at the beginning of `bytes`. None if it is not complete.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (extended, payload) = match second & !MASKED {
            LENGTH_16 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            LENGTH_64 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            length => (0, u64::from(length)),
        };
        let mask = match second & MASKED {
            0 => None,
            _ => Some(*rest.get(extended..)?.first_chunk()?),
        };
        Some(Self {
            is_final: first & FIN != 0,
            reserved: first & RESERVED,
            opcode: first & OPCODE,
            mask,
            length: 2 + extended + if mask.is_some() { 4 } else { 0 },
            payload,
        })
    }

    /// Whether the frame is the first one of a compressed message.
    pub(crate) fn is_compressed(&self) -> bool {
        self.reserved == COMPRESSED && matches!(Opcode::from_number(self.opcode), Some(Opcode::Text | Opcode::Binary))
    }

    /// The header of a frame that is a whole message, and is not compressed.
    pub(crate) fn of_message(opcode: Opcode, payload: usize) -> Self {
        Self { is_final: true, reserved: 0, opcode: opcode as u8, mask: None, length: 0, payload: payload as u64 }
    }

    /// How many bytes the header that begins like this has, as far as this can be known.
    pub(crate) fn length_of(bytes: &[u8]) -> usize {
        let Some(second) = bytes.get(1) else { return 2 };
        let extended = match second & !MASKED {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        2 + extended + if second & MASKED == 0 { 0 } else { 4 }
    }
}

impl Opcode {
    /// The opcode with this number, if it has a meaning.
    #[inline]
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// The longest header of a frame that is not masked.
pub(crate) const MAX_UNMASKED: usize = 10;

/// The header of an unmasked frame that is a whole message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unmasked {
    bytes: [u8; MAX_UNMASKED],
    length: u8,
}

impl Unmasked {
    #[inline]
    pub(crate) fn new(opcode: Opcode, payload: usize) -> Self {
        let first = FIN | opcode as u8;
        match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(length @ ..LENGTH_16), _) => Self { bytes: [first, length, 0, 0, 0, 0, 0, 0, 0, 0], length: 2 },
            (_, Ok(length)) => {
                let [a, b] = length.to_be_bytes();
                Self { bytes: [first, LENGTH_16, a, b, 0, 0, 0, 0, 0, 0], length: 4 }
            }
            _ => {
                let [a, b, c, d, e, f, g, h] = (payload as u64).to_be_bytes();
                Self { bytes: [first, LENGTH_64, a, b, c, d, e, f, g, h], length: 10 }
            }
        }
    }

    /// The header of the same frame, whose payload is compressed.
    pub(crate) fn compressed(opcode: Opcode, payload: usize) -> Self {
        let mut header = Self::new(opcode, payload);
        header.bytes[0] |= COMPRESSED;
        header
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}
