//! The one error type of this crate.

use std::fmt;

use crate::bindings::hassock::host::{connections, sql, timers, topics};

/// What functions of this crate and of a [`Handler`](crate::Handler) return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed. The text of an error that leaves a handler goes into the host's log.
///
/// Everything that this crate returns converts into it with `?`, and so do texts:
///
/// ```
/// use hassock_guest::{Error, Result};
///
/// fn room(name: Option<&str>) -> Result<&str> {
///     let name = name.ok_or("a room must have a name")?;
///     if name.len() > 32 {
///         return Err(format!("{name} is too long").into());
///     }
///     Ok(name)
/// }
/// assert!(matches!(room(None), Err(Error::Text(_))));
/// ```
///
/// An error type that has no conversion of its own goes through [`Error::other`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A call about a connection failed.
    Connection(connections::Error),
    /// A call about a topic failed.
    Topic(topics::Error),
    /// A timer could not be set.
    Timer(timers::Error),
    /// The database refused or could not be asked.
    Sql(sql::Error),
    /// A row has no such column, or a value is not of the type that was asked for.
    Value(String),
    /// A setting is missing, or is not what it should be.
    Setting(String),
    /// A text is not the JSON that was expected, or a value cannot be written as JSON.
    Json(serde_json::Error),
    /// The application's own reason.
    Text(String),
    /// Any other error of the application.
    Other(Box<dyn std::error::Error>),
}

impl Error {
    /// Wrap an error of any type: `text.parse::<f32>().map_err(Error::other)?`.
    pub fn other(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self::Other(error.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => f.write_str(&connection_text(error)),
            Self::Topic(error) => f.write_str(topic_text(error)),
            Self::Timer(error) => f.write_str(&timer_text(error)),
            Self::Sql(error) => write!(f, "database: {}", sql_text(error)),
            Self::Value(text) | Self::Setting(text) | Self::Text(text) => f.write_str(text),
            Self::Json(error) => write!(f, "JSON: {error}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

// No `source`: the texts above already contain the texts of what they wrap, and whoever prints a chain
// would print them twice.
impl std::error::Error for Error {}

fn connection_text(error: &connections::Error) -> String {
    use connections::Error;
    match error {
        Error::UnknownConnection => "no such connection: it has ended, or never was".into(),
        Error::OutboxFull => "the connection's outbox is full".into(),
        Error::Closing => "the connection is closing".into(),
        Error::TooLarge(what) => format!("too large: {what}"),
        Error::Invalid(what) => format!("invalid: {what}"),
    }
}

fn topic_text(error: &topics::Error) -> &'static str {
    use topics::Error;
    match error {
        Error::UnknownConnection => "no such connection: it has ended, or never was",
        Error::TooManyTopics => "the connection is subscribed to as many topics as it may be",
        Error::InvalidTopic => "invalid topic: its name must have 1 to 256 bytes",
        Error::TooLarge => "the message is larger than an outbox",
    }
}

fn timer_text(error: &timers::Error) -> String {
    use timers::Error;
    match error {
        Error::UnknownConnection => "no such connection: it has ended, or never was".into(),
        Error::TooManyTimers => "as many timers are set as may be".into(),
        Error::Invalid(what) => format!("invalid timer: {what}"),
    }
}

fn sql_text(error: &sql::Error) -> String {
    use sql::Error;
    match error {
        Error::Denied(text) => format!("denied: {text}"),
        Error::UnknownDatabase(text) => format!("unknown database: {text}"),
        Error::Timeout => "the statement took too long".into(),
        Error::PoolExhausted => "all connections are busy".into(),
        Error::Constraint(text) => format!("constraint: {text}"),
        Error::Syntax(text) => format!("syntax: {text}"),
        Error::TooLarge(text) => format!("the result is too large: {text}"),
        Error::ConnectionLost(text) => format!("connection lost: {text}"),
        Error::Other(text) => text.clone(),
    }
}

/// `From` for the types that one variant wraps as they are.
macro_rules! wraps {
    ($($from:ty => $variant:ident,)*) => {$(
        impl From<$from> for Error {
            fn from(error: $from) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

wraps! {
    connections::Error => Connection,
    topics::Error => Topic,
    timers::Error => Timer,
    sql::Error => Sql,
    serde_json::Error => Json,
    String => Text,
    Box<dyn std::error::Error> => Other,
}

/// `From` for the errors of the standard library that handlers meet most often.
macro_rules! boxes {
    ($($from:ty,)*) => {$(
        impl From<$from> for Error {
            fn from(error: $from) -> Self {
                Self::other(error)
            }
        }
    )*};
}

boxes! {
    fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
