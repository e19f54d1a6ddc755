//! The control frames that a client sends.

use std::borrow::Cow;

use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::decoder::{DecodeError, Incoming, violation};
use crate::encoded::MAX_CONTROL_PAYLOAD;
use crate::header::{Header, Opcode};

/// RFC 6455, section 5.5: control frames are short and not fragmented.
pub(crate) fn control<'a>(
    header: &Header,
    opcode: Option<Opcode>,
    payload: Cow<'a, [u8]>,
) -> Result<Incoming<'a>, DecodeError> {
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
fn close(payload: &[u8]) -> Result<Option<CloseFrame>, DecodeError> {
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
