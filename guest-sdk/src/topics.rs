//! Topics: names within this app that connections subscribe to and messages are published to. A topic is
//! there as long as somebody is subscribed. All its subscribers get its messages in the same order.
//!
//! A connection subscribes with [`Acceptance::topic`](crate::Acceptance::topic) or
//! [`Connection::subscribe`].

use serde::Serialize;

use crate::host::topics;
use crate::{Connection, Message, Result};

pub use crate::bindings::hassock::host::topics::Error;

/// Queue a message for every subscriber, and return how many there are. A subscriber whose outbox is full
/// reads too slowly: the host closes it with 1013 rather than leave a gap.
///
/// # Errors
/// [`Error::InvalidTopic`] unless the name has 1 to 256 bytes, [`Error::TooLarge`] if the message is
/// larger than an outbox.
pub fn publish(topic: &str, message: impl Into<Message>) -> Result<u32> {
    Ok(topics::publish(topic, &message.into())?)
}

/// The same for every subscriber but one, usually the one that speaks.
///
/// # Errors
/// As [`publish`].
pub fn publish_except(topic: &str, message: impl Into<Message>, except: Connection) -> Result<u32> {
    Ok(topics::publish_except(topic, &message.into(), except.id())?)
}

/// [`publish`] a value as a text message of JSON.
///
/// # Errors
/// As [`publish`], and [`Error::Json`](crate::Error::Json) if the value cannot be written as JSON.
pub fn publish_json(topic: &str, value: &impl Serialize) -> Result<u32> {
    publish(topic, Message::json(value)?)
}

/// The connections that are subscribed now, in ascending order.
pub fn subscribers(topic: &str) -> Vec<Connection> {
    topics::subscribers(topic).into_iter().map(Connection::from_id).collect()
}
