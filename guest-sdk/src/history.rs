//! The histories of topics: positions, publishing with options, and reading what is kept.
//!
//! The config says which topics have a history. A new client of this room gets its last 20 messages, and one that was away
//! for a moment gets what it has missed:
//!
//! ```no_run
//! use hassock_sdk::prelude::*;
//!
//! #[derive(Default)]
//! struct Chat;
//!
//! impl Handler for Chat {
//!     type Message<'a> = &'a str;
//!
//!     fn on_open(&self, connection: Connection, _: &Request) -> Result<Acceptance, Refusal> {
//!         connection.subscribe_from("room:1", StartAt::Last(20))?;
//!         Ok(Acceptance::new())
//!     }
//!
//!     fn on_message(&self, connection: Connection, text: &str) -> Result<()> {
//!         Publish::new("room:1", text).except(connection).publish()?;
//!         Ok(())
//!     }
//! }
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::host::topics;
use crate::{AsMessage, Connection, Message, Result};

/// Where a message is in the history of its topic. Its text is that of the subprotocol `hassock.v1`: `1b2f4c-1024`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Tells apart the runs of the host: a history does not outlive the host. Below 2^53.
    pub epoch: u64,
    /// Grows with each message. Other topics of the app take their offsets from the same counter, so there are gaps
    /// between those of one topic. Below 2^53.
    pub offset: u64,
}

/// A text is not a [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPosition;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the next message.
    Now,
    /// With the first message after this position, or with the first one that is still kept.
    Since(Position),
    /// With the last messages, at most so many. A client of `hassock.v1` that was here before continues where it was instead, if
    /// this is used in [`on_open`](crate::Handler::on_open).
    Last(u32),
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// More came than the topic's `history`.
    Count,
    /// They were older than the topic's `keep`.
    Age,
    /// They had more bytes than the bounds of the topic, the app or the host allow.
    Bytes,
    /// The position is of an earlier run of the host.
    Restart,
    /// The topic has no history.
    None,
}

/// What became of a [subscription](Connection::subscribe_from).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The position before the first message that the connection gets; `None` if the topic has no history.
    pub position: Option<Position>,
    /// Why messages after the position that was asked for are missing; `None` if none are.
    pub missing: Option<Gap>,
}

/// What became of a message that was [published](Publish::publish).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// For how many subscribers it was queued.
    pub reached: u32,
    /// Its position; `None` if the topic has no history, or does not keep it.
    pub position: Option<Position>,
    /// A message of the same id was published before, and this is what became of that.
    pub is_duplicate: bool,
}

/// A message that a topic keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMessage {
    /// Where it is.
    pub position: Position,
    /// The message.
    pub message: Message,
    /// The id that its publisher gave it.
    pub id: Option<String>,
}

/// A part of a [history](history()).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Oldest first.
    pub messages: Vec<KeptMessage>,
    /// The position of the last message that was published to the topic.
    pub latest: Position,
    /// Why messages after the position that was asked for, and before these, are missing; `None` if none are.
    pub missing: Option<Gap>,
}

/// A message with options, for a topic with a history. [`topics::publish`](crate::topics::publish) publishes without any.
///
/// ```no_run
/// # use hassock_sdk::prelude::*;
/// # fn example(connection: Connection) -> Result<()> {
/// let published = Publish::new("room:1", "hello").except(connection).id("42").publish()?;
/// # let _ = published.position;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`publish` publishes it"]
pub struct Publish {
    topic: String,
    message: Message,
    options: Options,
}

/// How a message is published.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) id: Option<String>,
    pub(crate) except: Option<u64>,
    pub(crate) skip_history: bool,
}

impl Publish {
    /// A message for the subscribers of a topic.
    pub fn new(topic: impl Into<String>, message: impl AsMessage) -> Self {
        Self { topic: topic.into(), message: message.into_message(), options: Options::default() }
    }

    /// Give the message a name, at most 128 bytes: if a message of this name is published to the topic again within five
    /// minutes, nothing happens. Clients of `hassock.v1` see it, and ignore one that they have.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// Leave out one connection, usually the sender.
    pub fn except(mut self, connection: Connection) -> Self {
        self.options.except = Some(connection.id());
        self
    }

    /// Keep nothing of it: only those that are subscribed now get it.
    pub fn skip_history(mut self) -> Self {
        self.options.skip_history = true;
        self
    }

    /// Publish the message.
    ///
    /// # Errors
    /// As [`topics::publish`](crate::topics::publish); `InvalidTopic` also if the id is not valid.
    pub fn publish(self) -> Result<Published> {
        Ok(topics::publish_with(&self.topic, self.message, self.options)?)
    }
}

/// The messages of a topic after a position or, without one, the last ones: at most `limit`.
///
/// # Errors
/// [`TopicError::NoHistory`](crate::TopicError::NoHistory) if the config gives the topic none.
pub fn history(topic: &str, since: Option<Position>, limit: u32) -> Result<HistoryPage> {
    Ok(topics::history(topic, since, limit)?)
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.offset)
    }
}

impl fmt::Display for InvalidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position is an epoch in hexadecimal digits, a dash and an offset, such as `1b2f4c-1024`")
    }
}

impl std::error::Error for InvalidPosition {}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts = text.split_once('-').filter(|(epoch, offset)| digits(epoch) && digits(offset));
        let (epoch, offset) = parts.ok_or(InvalidPosition)?;
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| InvalidPosition)?;
        Ok(Self { epoch, offset: offset.parse().map_err(|_| InvalidPosition)? })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_text_in_json() {
        let position = Position { epoch: 0x1b_2f4c, offset: 1024 };
        assert_eq!(serde_json::to_string(&position).unwrap(), "\"1b2f4c-1024\"");
        assert_eq!(serde_json::from_str::<Position>("\"1b2f4c-1024\"").unwrap(), position);
        for text in ["", "1", "1-", "-1", "+1-1", "1-+1", "1-a", "1-2-3"] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
