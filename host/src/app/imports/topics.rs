//! `hassock:host/topics`

use crate::app::call::InstanceState;
use crate::app::observer::CallObserver;
use crate::app::{PublishError, PublishOptions, TopicError};
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
        let trace = match &call.observer {
            Some(CallObserver::Trace(trace)) => Some(trace.publish(topic)),
            _ => None,
        };
        let options = PublishOptions { except, ..PublishOptions::default() };
        let published = call.app.publish_from_call(&call.setup, topic, payload(&message), options, &mut call.dirty)?;
        if let Some(trace) = trace {
            trace.reached(published.reached);
        }
        Ok(published.reached)
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

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::TooLarge | PublishError::OutOfMemory(_) => Self::TooLarge,
        }
    }
}
