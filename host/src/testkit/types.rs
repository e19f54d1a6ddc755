//! What goes to and comes from a virtual client.

use std::fmt;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

/// What a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// The connection was closed, not by the client.
    Closed {
        /// The close code; 1005 without one, 1006 without a close frame.
        code: u16,
        /// The reason.
        reason: String,
    },
}

/// What became of a request for a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP: 101 if it was accepted.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body of a refusal.
    pub body: String,
}

/// A line of the host's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// The message with its fields; that of a trap has the guest's backtrace as the field `backtrace`.
    pub text: String,
}

/// A request for a WebSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) id: Option<u64>,
}

impl Connect {
    /// A request for a path, and a query if there is one: `/chat?room=lobby`.
    pub fn to(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// Add a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offer a subprotocol.
    #[must_use]
    pub fn subprotocol(self, name: impl Into<String>) -> Self {
        self.header("sec-websocket-protocol", name)
    }

    /// The id that the connection is to have, if no other has had it. The next ones follow it.
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }
}

impl<T: Into<String>> From<T> for Connect {
    fn from(target: T) -> Self {
        Self::to(target)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Binary(bytes) => {
                formatter.write_str("hex")?;
                bytes.iter().try_for_each(|byte| write!(formatter, " {byte:02x}"))
            }
        }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:5} {}", self.level, self.text)
    }
}
