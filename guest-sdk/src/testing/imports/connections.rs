//! `hassock:host/connections`

use crate::ConnectionError as Error;
use crate::Fullness;
use crate::bindings::hassock::host::types::{ClosedBy, Message};
use crate::testing::current::state;
use crate::testing::engine::closing;
use crate::testing::outbox::SendError;
use crate::testing::state::State;

/// Bytes of a close frame's reason.
const MAX_REASON: usize = 123;

pub(crate) fn send(id: u64, message: &Message) -> Result<Fullness, Error> {
    push("Connection::send", id, std::slice::from_ref(message))
}

pub(crate) fn send_many(id: u64, messages: &[Message]) -> Result<Fullness, Error> {
    push("Connection::send_many", id, messages)
}

pub(crate) fn close(id: u64, code: u16, reason: &str) -> Result<(), Error> {
    if !matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999) {
        return Err(Error::Invalid(format!("{code} is not 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999")));
    }
    if reason.len() > MAX_REASON {
        return Err(Error::Invalid(format!("the reason has more than {MAX_REASON} bytes")));
    }
    state("Connection::close", |state| {
        let connection = state.known(id).ok_or(Error::UnknownConnection)?;
        connection.outbox.close(closing(code, reason, ClosedBy::Module)).map_err(refused)
    })
}

pub(crate) fn attachment(id: u64) -> Result<Vec<u8>, Error> {
    state("Connection::attachment", |state| {
        state.known(id).map(|connection| connection.attachment.clone()).ok_or(Error::UnknownConnection)
    })
}

pub(crate) fn set_attachment(id: u64, attachment: &[u8]) -> Result<(), Error> {
    state("Connection::set_attachment", |state| {
        let limit = state.limits.attachment_bytes;
        let connection = state.known(id).ok_or(Error::UnknownConnection)?;
        if attachment.len() > limit {
            return Err(Error::TooLarge(format!("{} bytes; `attachment_bytes` is {limit}", attachment.len())));
        }
        connection.attachment = attachment.to_vec();
        Ok(())
    })
}

fn push(import: &str, id: u64, messages: &[Message]) -> Result<Fullness, Error> {
    let push = |state: &mut State| {
        let connection = state.known(id).ok_or(Error::UnknownConnection)?;
        connection.outbox.push(messages).map_err(refused)
    };
    state(import, push)
}

fn refused(error: SendError) -> Error {
    match error {
        SendError::Full => Error::OutboxFull,
        SendError::TooLarge => Error::TooLarge("more than `outbox_bytes`".to_owned()),
        SendError::Closing => Error::Closing,
    }
}
