//! A connection and what a module can do with it.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::host::{connections, timers, topics};
use crate::{Message, Result};

pub use crate::bindings::hassock::host::connections::{Error as ConnectionError, Fullness};

/// One accepted WebSocket of this app. It is only a number, so it is copied, compared and stored freely;
/// a call about a connection that has ended fails with [`ConnectionError::UnknownConnection`].
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

    /// Queue a message: text from a `String` or `&str`, binary from a `Vec<u8>` or `&[u8]`. It never
    /// waits; the host writes when this call of the module is done, or waits for something itself.
    ///
    /// Returns how full the outbox now is, in percent of its limit. A module that produces faster than
    /// the client reads sees this rise and can slow down.
    ///
    /// # Errors
    /// [`ConnectionError::OutboxFull`] if it would not fit, [`ConnectionError::Closing`],
    /// [`ConnectionError::UnknownConnection`]. Nothing was queued then.
    pub fn send(self, message: impl Into<Message>) -> Result<Fullness> {
        Ok(connections::send(self.0, &message.into())?)
    }

    /// Queue `value` as a text message of JSON.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::Json`](crate::Error::Json) if the value cannot be written as JSON.
    pub fn send_json(self, value: &impl Serialize) -> Result<Fullness> {
        self.send(Message::json(value)?)
    }

    /// Queue several messages in order: all of them, or none and an error. Cheaper than as many `send`s.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_many<M: Into<Message>>(self, messages: impl IntoIterator<Item = M>) -> Result<Fullness> {
        let messages: Vec<Message> = messages.into_iter().map(Into::into).collect();
        Ok(connections::send_many(self.0, &messages)?)
    }

    /// Close the connection once what is queued for it was written. `code` is 1000, 1001, 1003, 1007 to
    /// 1014, or 3000 to 4999; `reason` has at most 123 bytes.
    ///
    /// # Errors
    /// [`ConnectionError::Invalid`] for another code or a longer reason, [`ConnectionError::Closing`],
    /// [`ConnectionError::UnknownConnection`].
    pub fn close(self, code: u16, reason: &str) -> Result<()> {
        Ok(connections::close(self.0, code, reason)?)
    }

    /// What the module keeps with the connection, read as JSON: what [`set_attachment`](Self::set_attachment)
    /// or [`Acceptance::attachment`](crate::Acceptance::attachment) gave last. If nothing was attached it
    /// reads as `null`, so `Option<T>` tells the two apart.
    ///
    /// The host keeps it, so it survives the instance, and it can be read until `closed` returns.
    ///
    /// # Errors
    /// [`ConnectionError::UnknownConnection`], or [`Error::Json`](crate::Error::Json) if it is no such JSON.
    pub fn attachment<T: DeserializeOwned>(self) -> Result<T> {
        let bytes = self.attachment_bytes()?;
        let json = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
        Ok(serde_json::from_slice(json)?)
    }

    /// Keep `value` with the connection as JSON, in place of what was there.
    ///
    /// # Errors
    /// As [`set_attachment_bytes`](Self::set_attachment_bytes), and [`Error::Json`](crate::Error::Json)
    /// if the value cannot be written as JSON.
    pub fn set_attachment(self, value: &impl Serialize) -> Result<()> {
        self.set_attachment_bytes(&serde_json::to_vec(value)?)
    }

    /// What the module keeps with the connection, as it is; empty if nothing was attached.
    ///
    /// # Errors
    /// [`ConnectionError::UnknownConnection`].
    pub fn attachment_bytes(self) -> Result<Vec<u8>> {
        Ok(connections::attachment(self.0)?)
    }

    /// Keep these bytes with the connection, in place of what was there.
    ///
    /// # Errors
    /// [`ConnectionError::TooLarge`] above the app's `attachment_bytes`, [`ConnectionError::UnknownConnection`].
    pub fn set_attachment_bytes(self, bytes: &[u8]) -> Result<()> {
        Ok(connections::set_attachment(self.0, bytes)?)
    }

    /// Subscribe the connection to a topic, see [`topics`](crate::topics). To do it again changes nothing.
    ///
    /// # Errors
    /// A [`topics::Error`](crate::topics::Error).
    pub fn subscribe(self, topic: &str) -> Result<()> {
        Ok(topics::subscribe(self.0, topic)?)
    }

    /// End a subscription. One that is not there is no error.
    ///
    /// # Errors
    /// A [`topics::Error`](crate::topics::Error).
    pub fn unsubscribe(self, topic: &str) -> Result<()> {
        Ok(topics::unsubscribe(self.0, topic)?)
    }

    /// Have [`Handler::timer`](crate::Handler::timer) called once for this connection, `after` this long,
    /// with `name` and `payload`. A timer of the same connection and name is replaced. It ends with the
    /// connection. `after` is rounded up to whole milliseconds and is at most 30 days.
    ///
    /// # Errors
    /// A [`timers::Error`](crate::timers::Error).
    pub fn set_timer(self, name: &str, after: Duration, payload: impl AsRef<[u8]>) -> Result<()> {
        crate::timers::set_for(Some(self), name, after, payload.as_ref())
    }

    /// Forget a timer of this connection. True if there was one; it will then not fire.
    pub fn cancel_timer(self, name: &str) -> bool {
        timers::cancel(Some(self.0), name)
    }
}

/// The id.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
