//! A message of which not all frames have arrived.

use std::borrow::Cow;

use tungstenite::Error;

use crate::header::Opcode;

/// What has arrived of a message.
#[derive(Debug)]
pub(crate) struct Fragments {
    /// The opcode of the first frame.
    pub(crate) opcode: Opcode,
    pub(crate) data: Vec<u8>,
    /// It is decompressed when all of it has arrived: until then it is short, and needs no decompressor.
    pub(crate) is_compressed: bool,
    /// How much of a text is known to be UTF-8. The rest is a character that may continue in the next frame.
    valid: usize,
}

impl Fragments {
    /// The first frame of a message that is not compressed.
    pub(crate) fn plain(opcode: Opcode, payload: Cow<'_, [u8]>) -> Box<Self> {
        Box::new(Self { opcode, data: payload.into_owned(), is_compressed: false, valid: 0 })
    }

    /// The first frame of a compressed message.
    pub(crate) fn compressed(opcode: Opcode, payload: Cow<'_, [u8]>) -> Box<Self> {
        Box::new(Self { opcode, data: payload.into_owned(), is_compressed: true, valid: 0 })
    }

    /// Find out as early as possible that a text is not UTF-8.
    pub(crate) fn validate(&mut self) -> Result<(), Error> {
        if self.opcode != Opcode::Text || self.is_compressed {
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
