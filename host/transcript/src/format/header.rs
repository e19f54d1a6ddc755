//! What stands in parentheses before a message: the header that it has for clients of `hassock.v1`.
//!
//! Topics, ids, codes and positions are texts in which `${NAME}` stands for what was captured. A position that is expected may
//! also be `${any}`, or be captured: `${NAME=string}`.

use std::time::Duration;

use super::model::{Expected, Payload};

/// A message with a header that a client is expected to get. What a header leaves out does not matter, but for what
/// [`Recovery`] and [`Reconnect`] say.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The header.
    pub header: Header,
    /// What follows: of [`Published`](Header::Published) and [`Reply`](Header::Reply) the payload, of
    /// [`Presence`](Header::Presence) the other fields of the header as JSON, of [`Error`](Header::Error) its message.
    /// None if it does not matter, or there is nothing.
    pub body: Option<Expected>,
}

/// A header, as the host writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Header {
    /// `(room:1)`, `(room:1 at ${p1=string} id order-7)`: a message that was published.
    Published {
        /// The topic.
        topic: String,
        /// The position.
        position: Option<String>,
        /// The id.
        id: Option<String>,
    },
    /// `(subscribed room:1)`, `(subscribed room:1 at ${p1} recovered)`, `(subscribed room:1 gap count)`
    Subscribed {
        /// The topic.
        topic: String,
        /// The position.
        position: Option<String>,
        /// Whether something is missing.
        recovery: Recovery,
    },
    /// `(unsubscribed room:1)`
    Unsubscribed {
        /// The topic.
        topic: String,
    },
    /// `(gap room:1 bytes)`
    Gap {
        /// The topic.
        topic: String,
        /// Why messages are missing.
        gap: String,
    },
    /// `(position room:1 at ${p2=string})`
    Position {
        /// The topic.
        topic: String,
        /// The position.
        position: Option<String>,
    },
    /// `(presence room:1) {"count": 2, …}`
    Presence {
        /// The topic.
        topic: String,
    },
    /// `(reply) MESSAGE`: the answer to the oldest request that has none.
    Reply,
    /// `(error refused)`, `(error refused) the exact message`: the same for one that is refused.
    Error {
        /// The code.
        code: String,
    },
    /// `(closing)`, `(closing reconnect after 1s)`
    Closing(Reconnect),
}

/// What a subscription says of the time before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The client has not said where it was.
    New,
    /// `recovered`: nothing is missing.
    Recovered,
    /// `gap WHY`: something is.
    Gap(String),
}

/// Whether a client whose connection is closed should connect again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconnect {
    /// It should not.
    Never,
    /// `reconnect`, `reconnect after 1s`: it should, after this time, if that matters.
    After(Option<Duration>),
}

/// What a client asks the host for.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// `(subscribe room:1)`, `(subscribe room:1 since ${p1})`, `(subscribe room:1 last 20)`
    Subscribe {
        /// The topic.
        topic: String,
        /// Where the subscription begins.
        start: Start,
    },
    /// `(unsubscribe room:1)`
    Unsubscribe {
        /// The topic.
        topic: String,
    },
    /// `(request) MESSAGE`: ask the module.
    Request(Payload),
}

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Now.
    Now,
    /// Behind a position.
    Since(String),
    /// With the last messages.
    Last(u64),
}

/// `publish (room:1) MESSAGE`, `publish chat (room:1 id order-7 at ${p1=string}) MESSAGE`: another program publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// The name of the app; none if there is only one.
    pub app: Option<String>,
    /// The topic.
    pub topic: String,
    /// Names the message within its topic, so that it is published once.
    pub id: Option<String>,
    /// The position that the message gets.
    pub position: Option<String>,
    /// The message.
    pub payload: Payload,
}

impl Header {
    /// The words that begin a header which is not that of a published message.
    pub(super) const WORDS: [&'static str; 8] =
        ["subscribed", "unsubscribed", "gap", "position", "presence", "reply", "error", "closing"];
}

impl Said {
    /// The words that begin what a client asks for.
    pub(super) const WORDS: [&'static str; 3] = ["subscribe", "unsubscribe", "request"];
}
