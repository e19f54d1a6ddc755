//! Topics: names within this app that connections subscribe to and messages are published to. A topic exists
//! as long as a connection is subscribed to it. All its subscribers get its messages in the same order.
//!
//! A connection subscribes with [`Acceptance::topic`](crate::Acceptance::topic) or
//! [`Connection::subscribe`](crate::Connection::subscribe).
//!
//! # A snapshot without a gap
//!
//! A new connection often gets the current state first, such as the last lines of a room, and then each change.
//! Subscribe it *before* you read the snapshot, with `connection.subscribe` in [`on_open`](crate::Handler::on_open): a
//! topic of the [`Acceptance`](crate::Acceptance) takes effect only when the call is over, and a change between the two
//! would be lost.
//!
//! ```no_run
//! # use hassock_sdk::prelude::*;
//! # fn on_open(database: &Database, connection: Connection) -> Result<Acceptance, Refusal> {
//! connection.subscribe("prices")?;
//! let prices = database.query_as::<(u64, String)>("SELECT id, price FROM item", [])?;
//! connection.send_json(&prices)?;
//! Ok(Acceptance::new())
//! # }
//! ```
//!
//! A writer stores a change first and then publishes it. So each change is in the snapshot or is published to the new
//! connection, and none is lost. A change that happens meanwhile may come both ways, and its message may arrive before
//! or after the snapshot: the order does not say which of the two is newer. Give each change an increasing number, and
//! have the client ignore what it already has.

use serde::Serialize;

use crate::host::topics;
use crate::{AsMessage, Connection, Message, Result};

/// Queue a message for every subscriber, and return for how many it was queued. A subscriber with a full outbox reads too
/// slowly: the host closes it with 1013, because it would otherwise miss a message without knowing it.
/// [`Connection::publish_except`] leaves out the sender.
///
/// # Errors
/// A [`TopicError`](crate::TopicError): `InvalidTopic` unless the name has 1 to 256 bytes, `TooLarge` if the message is
/// larger than an outbox.
pub fn publish(topic: &str, message: impl AsMessage) -> Result<u32> {
    Ok(topics::publish(topic, message.into_message())?)
}

/// [`publish`] a value as a text message of JSON.
///
/// # Errors
/// As [`publish`], or a [`serde_json::Error`] if the value cannot be written as JSON.
pub fn publish_json(topic: &str, value: &impl Serialize) -> Result<u32> {
    publish(topic, Message::json(value)?)
}

/// A subscriber of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its connection.
    pub connection: Connection,
    /// What others are told about it: the JSON that [`Connection::set_presence`] was given.
    pub data: Option<String>,
}

/// The subscribers of a topic, in ascending order: at most `limit` of those behind `after`.
pub fn members(topic: &str, after: Option<Connection>, limit: u32) -> Vec<Member> {
    let members = topics::members(topic, after.map(Connection::id), limit);
    members.into_iter().map(|(id, data)| Member { connection: Connection::from_id(id), data }).collect()
}

/// How many subscribers a topic has.
pub fn count(topic: &str) -> u32 {
    topics::member_count(topic)
}

/// The connections that are subscribed now, in ascending order.
pub fn subscribers(topic: &str) -> Vec<Connection> {
    topics::subscribers(topic).into_iter().map(Connection::from_id).collect()
}
