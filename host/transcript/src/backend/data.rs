//! Plain data that goes to a backend and comes from it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

/// What a client received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// The connection was closed, but not by the client.
    Closed {
        /// The close code; 1005 without a code, 1006 without a close frame.
        code: u16,
        /// The reason.
        reason: String,
    },
}

/// A request for a WebSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// Path and query. In a transcript, `${NAME}` stands for what was captured under that name.
    pub target: String,
    /// Header fields. In a transcript, `${NAME}` in a value stands for what was captured under that name.
    pub headers: Vec<(String, String)>,
    /// The id that the host gives to the connection, if no other connection has had it. Later ids follow it.
    pub id: Option<u64>,
    /// None if the client does not speak `hassock.v1`. Otherwise the positions that it has, by topic; in a transcript `${NAME}`
    /// stands for what was captured. Whoever reads its messages sees their headers, but for heartbeats, which are answered.
    pub speaks: Option<BTreeMap<String, String>>,
    /// How the client, which speaks `hassock.v1`, has its connection from before again. Not part of a transcript.
    pub resume: Option<Resume>,
}

/// What a client says that wants its connection from before again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// What the host has told it.
    pub token: String,
    /// How many messages it has received on the connection.
    pub received: u64,
}

/// A message that another program publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The name of the app; none if there is only one.
    pub app: Option<String>,
    /// The topic.
    pub topic: String,
    /// Names the message within its topic, so that it is published once.
    pub id: Option<String>,
    /// The message.
    pub message: Message,
}

/// The response to a request for a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status: 101 if the request was accepted.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body of a refusal.
    pub body: String,
}

/// The rows of a query, or the effect of a statement without rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The names of the columns; empty for a statement without rows.
    pub columns: Vec<String>,
    /// The values, as a table of a transcript shows them.
    pub rows: Vec<Vec<String>>,
}

/// A line of the host's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// The message with its fields. The line of a trap has the guest's backtrace as the field `backtrace`.
    pub text: String,
}

/// What the calls of a module cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Calls of modules, failed calls included.
    pub calls: u64,
    /// The CPU time of the calls. It varies from run to run, and with the load of the machine.
    pub cpu_time: Duration,
    /// Bytes: the largest linear memory of an instance.
    pub peak_memory: usize,
    /// Statements that the calls ran, failed statements included.
    pub statements: u64,
}

/// A call of a module that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCall {
    /// The exported function, as the log names it in the field `call`: `receive`, `app-timer`, `closed`, ….
    pub call: String,
    /// The app.
    pub app: String,
    /// The version that served the call.
    pub version: String,
    /// The id of the connection; none for a call that belongs to the app.
    pub connection: Option<u64>,
    /// The close code with which the host closes the connection for this failure; none if it does not close it.
    pub close_code: Option<u16>,
    /// Why the call failed.
    pub error: String,
    /// The wasm frames on one line, innermost first, separated by ` <- `; empty if there are none.
    pub backtrace: String,
}

/// How a call is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// The module traps.
    Trap,
    /// The module needs more memory than the limit `memory`.
    Memory,
    /// The call computes for longer than the limit `cpu_time`.
    CpuTime,
    /// The call takes longer than the limit `call_timeout`.
    Timeout,
    /// No instance is free for the limit `instance_wait`.
    Busy,
}

/// How a statement is made to fail: the errors of `hassock:host/sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum StatementFault {
    Denied,
    Timeout,
    PoolExhausted,
    Constraint,
    Syntax,
    TooLarge,
    ConnectionLost,
}

impl Connect {
    /// A request for a path, with a query if there is one: `/chat?room=lobby`.
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

    /// Speak `hassock.v1`, without a position from before.
    #[must_use]
    pub fn speaking(mut self) -> Self {
        self.speaks.get_or_insert_default();
        self
    }

    /// Speak `hassock.v1`, and have a position in a topic from before.
    #[must_use]
    pub fn since(mut self, topic: impl Into<String>, position: impl Into<String>) -> Self {
        self.speaks.get_or_insert_default().insert(topic.into(), position.into());
        self
    }

    /// Speak `hassock.v1`, and want the connection from before again: with the token that the host sent last (`resume`), and the number
    /// of messages that the client has received on it.
    #[must_use]
    pub fn resuming(mut self, token: impl Into<String>, received: u64) -> Self {
        self.resume = Some(Resume { token: token.into(), received });
        self.speaking()
    }

    /// Ask for an id; see [`id`](field@Self::id).
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

impl fmt::Display for FailedCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, app, version, connection, error, .. } = self;
        write!(formatter, "the call `{call}` of `{app}` (version {version}")?;
        if let Some(id) = connection {
            write!(formatter, ", connection {id}")?;
        }
        write!(formatter, ") failed: {error}")
    }
}

impl StatementFault {
    /// Each fault with the words for it.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Denied, "denied"),
        (Self::Timeout, "timeout"),
        (Self::PoolExhausted, "pool exhausted"),
        (Self::Constraint, "constraint"),
        (Self::Syntax, "syntax"),
        (Self::TooLarge, "too large"),
        (Self::ConnectionLost, "connection lost"),
    ];
}

impl CallFault {
    /// Each fault with the words for it.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Trap, "trap"),
        (Self::Memory, "memory"),
        (Self::CpuTime, "cpu time"),
        (Self::Timeout, "timeout"),
        (Self::Busy, "busy"),
    ];
}
