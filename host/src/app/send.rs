//! Sending to one connection and closing it, for another program than its module.

use hassock_frames::{Encoded, Payload};

use super::connection::{Close, MAX_REASON, SendError, is_allowed};
use super::{Amount, App};
use crate::module::bindings::hassock::host::types::ClosedBy;

/// Why nothing was done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// There is no such connection, or not any more.
    #[error("there is no such connection")]
    Unknown,
    /// It is closing.
    #[error("the connection is closing")]
    Closing,
    /// Its client has to read what was sent before.
    #[error("the outbox of the connection has no room for the message now")]
    Full,
    /// The message is larger than an outbox.
    #[error("the message is larger than `outbox_bytes`")]
    TooLarge,
    /// The host has no memory for it.
    #[error("the host has no memory left (`limits.memory_budget`)")]
    OutOfMemory,
    /// The close code is one that nobody may send.
    #[error("{0} is not 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999")]
    CodeNotAllowed(u16),
    /// The reason does not fit into a close frame.
    #[error("the reason has more than {MAX_REASON} bytes")]
    ReasonTooLong,
}

impl App {
    /// Queue a message for a connection.
    ///
    /// # Errors
    /// If it cannot be queued.
    pub fn send(&self, id: u64, message: Payload<'_>) -> Result<(), ConnectionError> {
        let connection = self.connections.get(id).ok_or(ConnectionError::Unknown)?;
        let message = Encoded::messages(std::iter::once(message));
        let amount = Amount::of(&message);
        connection.outbox.push(message)?;
        self.traffic.sent(amount, 1);
        connection.wake();
        Ok(())
    }

    /// Close a connection after its queued messages have been written.
    ///
    /// # Errors
    /// If the close is not one that may be sent, or the connection closes already.
    pub fn close(&self, id: u64, code: u16, reason: &str) -> Result<(), ConnectionError> {
        if !is_allowed(code) {
            return Err(ConnectionError::CodeNotAllowed(code));
        }
        if reason.len() > MAX_REASON {
            return Err(ConnectionError::ReasonTooLong);
        }
        let connection = self.connections.get(id).ok_or(ConnectionError::Unknown)?;
        connection.outbox.close(Close { code, reason: reason.into(), by: ClosedBy::Host })?;
        connection.wake();
        Ok(())
    }
}

impl From<SendError> for ConnectionError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full => Self::Full,
            SendError::OutOfMemory => Self::OutOfMemory,
            SendError::TooLarge => Self::TooLarge,
            SendError::Closing => Self::Closing,
        }
    }
}
