//! A connection and what a module can do with it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::{StartAt, Subscription};
use crate::host::{connections, timers, topics};
use crate::timers::Schedule;
use crate::{AsMessage, Message, Result};

/// One accepted WebSocket of this app. It is only a number, so it can be copied, compared and stored freely; a call
/// about a connection that has ended fails with
/// [`ConnectionError::UnknownConnection`](crate::ConnectionError::UnknownConnection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Connection(u64);

impl Connection {
    /// The connection that has this [`id`](Self::id).
    pub const fn from_id(id: u64) -> Self {
        Self(id)
    }

    /// The host's number for the connection: never used twice while the host runs, and below 2^53.
    pub const fn id(self) -> u64 {
        self.0
    }

    /// Queue a message: text from a `String` or `&str`, binary from a `Vec<u8>` or `&[u8]`. This never waits: the host
    /// writes the message when this call of the module ends, or while the call itself waits for a database.
    ///
    /// Messages for the connection whose messages are handled leave together with the result of the call. If the call does
    /// not return, because it computes for too long or needs too much memory, those since its last other import are
    /// lost; those before a panic arrive, unless the module replaces the panic hook of this crate. After a call of more
    /// than 10 ms, the host asks for the messages of the next calls at once.
    ///
    /// # Errors
    /// A [`ConnectionError`](crate::ConnectionError): `OutboxFull` if the message does not fit now, `TooLarge` if it
    /// can never fit, `Closing`, `UnknownConnection`. Nothing is queued then.
    pub fn send(self, message: impl AsMessage) -> Result<()> {
        Ok(connections::send(self.0, message.as_message())?)
    }

    /// Queue `value` as a text message of JSON.
    ///
    /// # Errors
    /// As [`send`](Self::send), or a [`serde_json::Error`] if the value cannot be written as JSON.
    pub fn send_json(self, value: &impl Serialize) -> Result<()> {
        self.send(Message::json(value)?)
    }

    /// Queue several messages in order: all of them, or none and an error. This is cheaper than a `send` for each.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_many<M: AsMessage>(self, messages: impl IntoIterator<Item = M>) -> Result<()> {
        let messages: Vec<M> = messages.into_iter().collect();
        let messages: Vec<_> = messages.iter().map(M::as_message).collect();
        Ok(connections::send_many(self.0, messages.iter().copied())?)
    }

    /// How full the outbox is: the share of the app's `outbox_bytes` that is queued, in percent, 0 to 100. A module
    /// that produces messages faster than the client reads them sees this number rise and can slow down.
    ///
    /// # Errors
    /// [`ConnectionError::UnknownConnection`](crate::ConnectionError::UnknownConnection).
    pub fn outbox_fullness(self) -> Result<u8> {
        Ok(connections::outbox_fullness(self.0)?)
    }

    /// Close the connection after everything that is queued for it has been written. `code` is 1000, 1001, 1003, 1007
    /// to 1014, or 3000 to 4999; `reason` has at most 123 bytes.
    ///
    /// # Errors
    /// A [`ConnectionError`](crate::ConnectionError): `Invalid` for another code or a longer reason, `Closing`,
    /// `UnknownConnection`.
    pub fn close(self, code: u16, reason: &str) -> Result<()> {
        Ok(connections::close(self.0, code, reason)?)
    }

    /// The value that the module keeps with the connection, read as JSON: the last one from
    /// [`set_attachment`](Self::set_attachment) or [`Acceptance::attachment`](crate::Acceptance::attachment). If
    /// nothing is attached, it reads as `null`, which is `None` for an `Option<T>`.
    ///
    /// The host keeps the attachment, so it survives the instance, and it can be read until `on_close` returns.
    ///
    /// # Errors
    /// [`ConnectionError::UnknownConnection`](crate::ConnectionError::UnknownConnection), or a [`serde_json::Error`]
    /// if it is not the JSON of a `T`.
    pub fn attachment<T: DeserializeOwned>(self) -> Result<T> {
        let bytes = self.attachment_bytes()?;
        let json = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
        Ok(serde_json::from_slice(json)?)
    }

    /// Keep `value` with the connection as JSON, in place of the previous attachment.
    ///
    /// # Errors
    /// As [`set_attachment_bytes`](Self::set_attachment_bytes), or a [`serde_json::Error`] if the value cannot be
    /// written as JSON.
    pub fn set_attachment(self, value: &impl Serialize) -> Result<()> {
        self.set_attachment_bytes(&serde_json::to_vec(value)?)
    }

    /// The attachment as bytes; empty if nothing is attached.
    ///
    /// # Errors
    /// [`ConnectionError::UnknownConnection`](crate::ConnectionError::UnknownConnection).
    pub fn attachment_bytes(self) -> Result<Vec<u8>> {
        Ok(connections::attachment(self.0)?)
    }

    /// Keep these bytes with the connection, in place of the previous attachment.
    ///
    /// # Errors
    /// A [`ConnectionError`](crate::ConnectionError): `TooLarge` above the app's `attachment_bytes`,
    /// `UnknownConnection`.
    pub fn set_attachment_bytes(self, bytes: &[u8]) -> Result<()> {
        Ok(connections::set_attachment(self.0, bytes)?)
    }

    /// Tell others this about the connection, as JSON: clients of `hassock.v1` that are subscribed to one of its topics, if the
    /// config gives that topic `presence`, and whoever asks for its [`members`](crate::topics::members). At most the app's
    /// `presence_bytes`.
    ///
    /// # Errors
    /// A [`ConnectionError`](crate::ConnectionError), or a [`serde_json::Error`] if the value cannot be written as JSON.
    pub fn set_presence(self, value: &impl Serialize) -> Result<()> {
        Ok(connections::set_presence(self.0, &serde_json::to_string(value)?)?)
    }

    /// Subscribe the connection to a topic, see [`topics`](crate::topics). Subscribing again changes nothing.
    ///
    /// # Errors
    /// A [`TopicError`](crate::TopicError): `InvalidTopic`, `TooManyTopics`, `UnknownConnection`.
    pub fn subscribe(self, topic: &str) -> Result<()> {
        Ok(topics::subscribe(self.0, topic)?)
    }

    /// Subscribe the connection from a point of the past on, and again from there if it is subscribed already. It gets what
    /// is kept from there on, and then what is published, without a gap and without a duplicate. The config gives topics a
    /// history.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_from(self, topic: &str, start: StartAt) -> Result<Subscription> {
        Ok(topics::subscribe_from(self.0, topic, start)?)
    }

    /// End a subscription. It is not an error if there is none.
    ///
    /// # Errors
    /// [`TopicError::UnknownConnection`](crate::TopicError::UnknownConnection).
    pub fn unsubscribe(self, topic: &str) -> Result<()> {
        Ok(topics::unsubscribe(self.0, topic)?)
    }

    /// [Publish](crate::topics::publish) to every subscriber except this connection, as when a client says something to
    /// the others. Returns for how many it was queued. This connection does not need to be subscribed.
    ///
    /// # Errors
    /// As [`topics::publish`](crate::topics::publish).
    pub fn publish_except(self, topic: &str, message: impl AsMessage) -> Result<u32> {
        Ok(topics::publish_except(topic, message.into_message(), self.0)?)
    }

    /// Set a timer that calls [`Handler::on_connection_timer`](crate::Handler::on_connection_timer) for this
    /// connection: once after a [`Duration`](std::time::Duration), or as a [`Schedule`] says. The call gets `name` and
    /// `payload`, which is kept as JSON; `&()` means no payload. A timer of this connection with the same name is
    /// replaced. The timer ends with the connection.
    ///
    /// # Errors
    /// A [`TimerError`](crate::TimerError): `TooManyTimers` above the app's `timers_per_connection`; `Invalid` for a
    /// time above 30 days, a name that does not have 1 to 256 bytes, or a payload above `attachment_bytes`;
    /// `UnknownConnection`. A [`serde_json::Error`] if the payload cannot be written as JSON.
    pub fn set_timer(self, name: &str, schedule: impl Into<Schedule>, payload: &impl Serialize) -> Result<()> {
        Ok(timers::set(Some(self.0), name, schedule.into(), &serde_json::to_vec(payload)?)?)
    }

    /// As [`set_timer`](Self::set_timer), unless this connection has a timer of that name, which then stays as it is.
    /// Returns whether the timer was set.
    ///
    /// # Errors
    /// As [`set_timer`](Self::set_timer).
    pub fn set_timer_if_absent(
        self,
        name: &str,
        schedule: impl Into<Schedule>,
        payload: &impl Serialize,
    ) -> Result<bool> {
        Ok(timers::set_if_absent(Some(self.0), name, schedule.into(), &serde_json::to_vec(payload)?)?)
    }

    /// Cancel a timer of this connection. Returns whether there was one; it does not fire any more.
    pub fn cancel_timer(self, name: &str) -> bool {
        timers::cancel(Some(self.0), name)
    }
}

/// Writes the id.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
