//! Messages that leave with the result of a call (`packed-handler.receive-packed`), and the room that is promised for
//! them.

use hassock_frames::Encoded;
use wasmtime::error::bail;

use super::{CallContext, InstanceState};
use crate::app::Amount;
use crate::app::connection::{self, Close, Connection, SendError};

/// The most room that a call is promised, in bytes. A module that sends more does so in several pieces, and the memory for
/// one piece is small.
const MAX_ROOM: usize = 64 << 10;

impl CallContext {
    /// A call begins that may return messages. Returns its room.
    pub(super) fn promise_room(&mut self) -> u32 {
        let room = self.connection.as_ref().map_or(0, |own| own.outbox.room().min(MAX_ROOM));
        self.room = Some(room);
        room as u32
    }

    /// Queue messages that the module sends to a connection, which may be messages that it had collected. Returns
    /// its room from now on.
    ///
    /// # Errors
    /// If they do not fit, the connection is closing, or the host has no memory left.
    pub(crate) fn send_packed(&mut self, connection: &Connection, messages: Encoded) -> Result<u32, SendError> {
        let is_own = self.connection.as_ref().is_some_and(|own| own.id == connection.id);
        let amount = Amount::of(&messages);
        match self.room.filter(|room| is_own && connection::size(&messages) <= *room) {
            Some(_) => connection.outbox.push_promised(messages)?,
            None => connection.outbox.push(messages)?,
        }
        self.app.traffic.sent(amount, 1);
        Ok(if is_own && self.room.is_some() { self.promise_room() } else { 0 })
    }

    /// Whether packed messages are larger than an empty outbox, so that they need not be read.
    pub(crate) fn can_never_fit(&self, packed: &[u8]) -> bool {
        packed.len() > self.setup.limits.outbox_bytes.bytes() + connection::MESSAGE_OVERHEAD
    }

    /// The module does something after which it has collected no messages, and which may fill the outbox.
    pub(crate) fn expire_room(&mut self) {
        if let Some(room) = &mut self.room {
            *room = 0;
        }
    }
}

impl InstanceState {
    /// Queue the messages that a call has returned.
    ///
    /// # Errors
    /// If the module did not keep to the contract.
    pub(super) fn queue_replies(&mut self, packed: Vec<u8>) -> wasmtime::Result<()> {
        if packed.is_empty() {
            return Ok(());
        }
        let Some(call) = &self.call else { return Ok(()) };
        let room = call.room.unwrap_or(0);
        // Each message counts more than its bytes in the packed form, so more of these need not be read.
        if packed.len() > room {
            bail!("the call returned {} bytes of packed messages, and had room for {room}", packed.len());
        }
        let messages = Encoded::from_packed(packed)?;
        let size = connection::size(&messages);
        if size > room {
            bail!("the call returned messages of {size} bytes, and had room for {room}");
        }
        if let Some(own) = &call.connection {
            let amount = Amount::of(&messages);
            match own.outbox.push_promised(messages) {
                Ok(()) => call.app.traffic.sent(amount, 1),
                Err(SendError::OutOfMemory) => own.outbox.overflow(Close::out_of_memory()),
                // The connection is closing, and nothing more can be sent.
                Err(SendError::Closing | SendError::Full | SendError::TooLarge) => {}
            }
        }
        Ok(())
    }
}
