//! Why something failed.

use std::fmt;

/// The result of the functions of this crate and of a [`Handler`](crate::Handler).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error: this is [`anyhow::Error`]. Every type that implements [`std::error::Error`] converts into it with `?`.
///
/// The text of an error that leaves a handler goes into the host's log, with its causes.
///
/// The application makes errors of its own with [`bail!`](crate::bail), [`ensure!`](crate::ensure) and
/// [`Context`](crate::Context):
///
/// ```
/// use hassock_sdk::prelude::*;
///
/// fn room(name: Option<&str>) -> Result<u32> {
///     let name = name.context("a room must have a name")?;
///     ensure!(name.len() <= 32, "{name} is too long");
///     Ok(name.parse()?)
/// }
/// assert_eq!(room(None).unwrap_err().to_string(), "a room must have a name");
/// assert!(room(Some("x")).unwrap_err().is::<std::num::ParseIntError>());
/// ```
///
/// To handle one error differently, check its type: the section "Errors" of each function of this crate lists what it
/// fails with. `error.downcast_ref::<SqlError>()` returns the error of a database, if it is one.
pub type Error = anyhow::Error;

/// A mistake of the client, with a text that the client may read. If [`on_message`](crate::Handler::on_message) returns
/// one, the connection is not closed: the error becomes a reply, see
/// [`on_client_error`](crate::Handler::on_client_error).
///
/// ```
/// use hassock_sdk::prelude::*;
///
/// fn check(line: &str) -> Result<()> {
///     ensure!(line.len() <= 8000, ClientError::new("the line is too long"));
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError(String);

impl ClientError {
    /// A mistake of the client, with the text that the client reads.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientError {}

/// Why a call about a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No connection of this app has that id: it has ended, or never existed.
    UnknownConnection,
    /// The outbox of the connection is full; its size is the app's `outbox_bytes`. Nothing was queued.
    OutboxFull,
    /// The connection is closing: nothing more can be sent.
    Closing,
    /// More bytes than a limit of the app allows; the text says which limit.
    TooLarge(String),
    /// An argument that is never valid, such as a close code that RFC 6455 reserves.
    Invalid(String),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConnection => f.write_str(UNKNOWN_CONNECTION),
            Self::OutboxFull => f.write_str("the connection's outbox is full"),
            Self::Closing => f.write_str("the connection is closing"),
            Self::TooLarge(what) => write!(f, "too large: {what}"),
            Self::Invalid(what) => write!(f, "invalid: {what}"),
        }
    }
}

impl std::error::Error for ConnectionError {}

/// Why a call about a topic failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicError {
    /// No connection of this app has that id: it has ended, or never existed.
    UnknownConnection,
    /// The connection has as many subscriptions as the app's `topics_per_connection` allows.
    TooManyTopics,
    /// A topic's name must have 1 to 256 bytes, and the id of a message at most 128.
    InvalidTopic,
    /// The config gives the topic no history.
    NoHistory,
    /// The message is larger than the app's `outbox_bytes`.
    TooLarge,
    /// The cluster cannot be reached now, or too many messages wait for it.
    Unavailable,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownConnection => UNKNOWN_CONNECTION,
            Self::TooManyTopics => "the connection is subscribed to as many topics as it may be",
            Self::InvalidTopic => "invalid topic: its name must have 1 to 256 bytes, and an id at most 128",
            Self::NoHistory => "the topic has no history",
            Self::TooLarge => "the message is larger than an outbox",
            Self::Unavailable => "the cluster cannot be reached now, or too many messages wait for it",
        })
    }
}

impl std::error::Error for TopicError {}

/// Why a timer could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerError {
    /// No connection of this app has that id: it has ended, or never existed.
    UnknownConnection,
    /// The owner has as many timers as `timers_per_connection` or `timers_per_app` allows.
    TooManyTimers,
    /// An argument that is never valid; the text says which one.
    Invalid(String),
}

impl fmt::Display for TimerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownConnection => f.write_str(UNKNOWN_CONNECTION),
            Self::TooManyTimers => f.write_str("as many timers are set as may be"),
            Self::Invalid(what) => write!(f, "invalid timer: {what}"),
        }
    }
}

impl std::error::Error for TimerError {}

const UNKNOWN_CONNECTION: &str = "no such connection: it has ended, or never was";
