//! `hassock:host/topics`

use std::sync::Arc;

use hassock_frames::{Deflate, Encoded};

use crate::app::call::InstanceState;
use crate::app::observer::CallObserver;
use crate::app::{Amount, TopicError};
use crate::memory_budget::{MemoryBudget, OutOfMemory, Use};
use crate::module::bindings::hassock::host::topics::{Error, Host};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::payload;

impl Host for InstanceState {
    fn subscribe(&mut self, id: u64, topic: String) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        let Some(call) = &self.call else { return Err(Error::UnknownConnection) };
        let most = call.setup.limits.topics_per_connection;
        call.app.topics.subscribe(&connection, &topic, most).map_err(Into::into)
    }

    fn unsubscribe(&mut self, id: u64, topic: String) -> Result<(), Error> {
        let connection = self.connection(id).ok_or(Error::UnknownConnection)?;
        if let Some(call) = &self.call {
            call.app.topics.unsubscribe(&connection, &topic);
        }
        Ok(())
    }

    fn publish(&mut self, topic: String, message: Message) -> Result<u32, Error> {
        self.publish_to_all_but(&topic, message, None)
    }

    fn publish_except(&mut self, topic: String, message: Message, except: u64) -> Result<u32, Error> {
        self.publish_to_all_but(&topic, message, Some(except))
    }

    fn subscribers(&mut self, topic: String) -> Vec<u64> {
        self.call.as_ref().map(|call| call.app.topics.subscribers(&topic)).unwrap_or_default()
    }
}

impl InstanceState {
    fn publish_to_all_but(&mut self, topic: &str, message: Message, except: Option<u64>) -> Result<u32, Error> {
        let Some(call) = &mut self.call else { return Ok(0) };
        call.expire_room();
        let message = payload(&message);
        if message.as_bytes().len() > call.setup.limits.outbox_bytes.bytes() {
            return Err(Error::TooLarge);
        }
        let memory = &call.app.context.memory;
        let message = Encoded::messages(std::iter::once(message));
        let message = message.kept(|bytes| memory.keep(Use::Outbox, bytes)).map_err(|OutOfMemory| Error::TooLarge)?;
        let compress = |message: &Encoded, how| compressed(message, how, memory);
        let trace = match &call.observer {
            Some(CallObserver::Trace(trace)) => Some(trace.publish(topic)),
            _ => None,
        };
        let reached = call.app.topics.publish(topic, &message, compress, except, &mut call.dirty);
        if let Some(trace) = trace {
            trace.reached(reached);
        }
        call.app.traffic.sent(Amount::of(&message), reached);
        Ok(reached)
    }
}

/// The compressed form of a message. Both forms are in memory. Returns the message itself if there is no memory for both, or
/// if compression does not make it shorter.
fn compressed(message: &Encoded, how: Deflate, memory: &Arc<MemoryBudget>) -> Encoded {
    let compressed = message.clone().deflated(how);
    match compressed.is_compressed() {
        true => compressed.kept(|bytes| memory.keep(Use::Outbox, bytes)).unwrap_or_else(|_| message.clone()),
        false => compressed,
    }
}

impl From<TopicError> for Error {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::InvalidName => Self::InvalidTopic,
            TopicError::TooMany => Self::TooManyTopics,
            TopicError::Forgotten => Self::UnknownConnection,
        }
    }
}
