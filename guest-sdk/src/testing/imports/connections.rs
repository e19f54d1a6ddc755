//! `hassock:host/connections`

use crate::testing::current::state;
use crate::testing::engine::closing;
use crate::testing::outbox::SendError;
use crate::testing::state::State;
use crate::{ClosedBy, ConnectionError, Message, MessageRef};

/// Bytes of a close frame's reason.
const MAX_REASON: usize = 123;

pub(crate) fn send(id: u64, message: MessageRef<'_>) -> Result<(), ConnectionError> {
    push("Connection::send", id, vec![message.into()])
}

pub(crate) fn send_many<'a>(
    id: u64,
    messages: impl Iterator<Item = MessageRef<'a>> + Clone,
) -> Result<(), ConnectionError> {
    push("Connection::send_many", id, messages.map(Into::into).collect())
}

pub(crate) fn outbox_fullness(id: u64) -> Result<u8, ConnectionError> {
    state("Connection::outbox_fullness", |state| {
        state.known(id).map(|connection| connection.outbox.fullness()).ok_or(ConnectionError::UnknownConnection)
    })
}

pub(crate) fn close(id: u64, code: u16, reason: &str) -> Result<(), ConnectionError> {
    if !matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999) {
        let text = format!("{code} is not 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999");
        return Err(ConnectionError::Invalid(text));
    }
    if reason.len() > MAX_REASON {
        return Err(ConnectionError::Invalid(format!("the reason has more than {MAX_REASON} bytes")));
    }
    state("Connection::close", |state| {
        let connection = state.known(id).ok_or(ConnectionError::UnknownConnection)?;
        connection.outbox.close(closing(code, reason, ClosedBy::Module)).map_err(refused)
    })
}

pub(crate) fn attachment(id: u64) -> Result<Vec<u8>, ConnectionError> {
    state("Connection::attachment", |state| {
        state.known(id).map(|connection| connection.attachment.clone()).ok_or(ConnectionError::UnknownConnection)
    })
}

pub(crate) fn set_presence(id: u64, data: &str) -> Result<(), ConnectionError> {
    state("Connection::set_presence", |state| {
        let limit = state.limits.presence_bytes;
        let connection = state.known(id).ok_or(ConnectionError::UnknownConnection)?;
        if data.len() > limit {
            return Err(ConnectionError::TooLarge(format!("{} bytes; `presence_bytes` is {limit}", data.len())));
        }
        connection.presence = (!data.is_empty()).then(|| data.to_owned());
        Ok(())
    })
}

pub(crate) fn set_attachment(id: u64, attachment: &[u8]) -> Result<(), ConnectionError> {
    state("Connection::set_attachment", |state| {
        let limit = state.limits.attachment_bytes;
        let connection = state.known(id).ok_or(ConnectionError::UnknownConnection)?;
        if attachment.len() > limit {
            let text = format!("{} bytes; `attachment_bytes` is {limit}", attachment.len());
            return Err(ConnectionError::TooLarge(text));
        }
        connection.attachment = attachment.to_vec();
        Ok(())
    })
}

fn push(import: &str, id: u64, messages: Vec<Message>) -> Result<(), ConnectionError> {
    let push = |state: &mut State| {
        let connection = state.known(id).ok_or(ConnectionError::UnknownConnection)?;
        connection.outbox.push(&messages).map_err(refused)
    };
    state(import, push)
}

fn refused(error: SendError) -> ConnectionError {
    match error {
        SendError::Full => ConnectionError::OutboxFull,
        SendError::TooLarge => ConnectionError::TooLarge("more than `outbox_bytes`".to_owned()),
        SendError::Closing => ConnectionError::Closing,
    }
}
