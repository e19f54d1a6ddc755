//! `hassock:host/connections`

use std::sync::Arc;

use hassock_frames::Encoded;

use crate::app::Amount;
use crate::app::call::InstanceState;
use crate::app::connection::{Close, Connection, MAX_REASON, SendError, is_allowed};
use crate::memory_budget::Use;
use crate::module::bindings::hassock::host::connections::{Error, Host};
use crate::module::bindings::hassock::host::types::{ClosedBy, Message};
use crate::module::payload;

impl Host for InstanceState {
    fn send(&mut self, id: u64, message: Message) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        self.queue(connection, Encoded::messages(std::iter::once(payload(&message))))
    }

    fn send_many(&mut self, id: u64, messages: Vec<Message>) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        self.queue(connection, Encoded::messages(messages.iter().map(payload)))
    }

    fn send_packed(&mut self, id: u64, messages: Vec<u8>) -> Result<u32, Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let Some(call) = &mut self.call else { return Err(Error::UnknownConnection) };
        if call.can_never_fit(&messages) {
            return Err(refused(SendError::TooLarge));
        }
        let messages = Encoded::from_packed(messages).map_err(|error| Error::Invalid(error.to_string()))?;
        let room = call.send_packed(&connection, messages).map_err(refused)?;
        self.mark_dirty(connection);
        Ok(room)
    }

    fn outbox_fullness(&mut self, id: u64) -> Result<u8, Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        Ok(connection.outbox.fullness())
    }

    fn close(&mut self, id: u64, code: u16, reason: String) -> Result<(), Error> {
        if !is_allowed(code) {
            return Err(Error::Invalid(format!("{code} is not 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999")));
        }
        if reason.len() > MAX_REASON {
            return Err(Error::Invalid(format!("the reason has more than {MAX_REASON} bytes")));
        }
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let close = Close { code, reason: reason.into(), by: ClosedBy::Module };
        connection.outbox.close(close).map_err(refused)?;
        self.mark_dirty(connection);
        Ok(())
    }

    fn set_presence(&mut self, id: u64, data: String) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let Some(call) = &self.call else { return Err(Error::UnknownConnection) };
        let limit = call.setup.limits.presence_bytes.bytes();
        if data.len() > limit {
            return Err(Error::TooLarge(format!("{} bytes; `presence_bytes` is {limit}", data.len())));
        }
        let data = call.app.context.memory.keep(Use::Attachment, data);
        connection.set_presence(data.map_err(|error| Error::TooLarge(error.to_string()))?);
        call.app.topics.update_presence(&connection);
        Ok(())
    }

    fn attachment(&mut self, id: u64) -> Result<Vec<u8>, Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let attachment = connection.attachment.lock().to_vec();
        Ok(attachment)
    }

    fn set_attachment(&mut self, id: u64, attachment: Vec<u8>) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let limit = self.call.as_ref().map_or(0, |call| call.setup.limits.attachment_bytes.bytes());
        if attachment.len() > limit {
            return Err(Error::TooLarge(format!("{} bytes; `attachment_bytes` is {limit}", attachment.len())));
        }
        let Some(call) = &self.call else { return Err(Error::UnknownConnection) };
        let attachment = call.app.context.memory.keep(Use::Attachment, attachment);
        *connection.attachment.lock() = attachment.map_err(|error| Error::TooLarge(error.to_string()))?;
        Ok(())
    }
}

impl InstanceState {
    fn queue(&mut self, connection: Arc<Connection>, messages: Encoded) -> Result<(), Error> {
        if let Some(call) = &mut self.call {
            call.expire_room();
        }
        let amount = Amount::of(&messages);
        connection.outbox.push(messages).map_err(refused)?;
        if let Some(call) = &self.call {
            call.app.traffic.sent(amount, 1);
        }
        self.mark_dirty(connection);
        Ok(())
    }
}

fn refused(error: SendError) -> Error {
    match error {
        SendError::Full | SendError::OutOfMemory => Error::OutboxFull,
        SendError::TooLarge => Error::TooLarge("more than `outbox_bytes`".to_owned()),
        SendError::Closing => Error::Closing,
    }
}
