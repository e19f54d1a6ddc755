//! A transcript as data: what the parser reads and the writer writes.

use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

use super::header::{Heard, Publish, Said};
use crate::backend::{CallFault, Connect, StatementFault};

/// A whole file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// `seed N`: the seed of random numbers. The same seed gives the same numbers.
    pub seed: Option<u64>,
    /// `clock 2026-01-31T12:00:00Z`: the time at which the transcript begins.
    pub clock: Option<SystemTime>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The line at which the step begins, counted from 1.
    pub line: usize,
    /// The last line of the step. A step continues in indented lines.
    pub last_line: usize,
    /// What the step does or expects.
    pub action: Action,
}

/// What a step does, or expects.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `connect alice /chat?room=lobby`
    Connect(ConnectStep),
    /// `alice returns`: the client connects again with the same request. The step says only what is different now. A client
    /// that speaks `hassock.v1` says which positions it has.
    Return(ConnectStep),
    /// `alice > MESSAGE`: the client sends.
    Send {
        /// The client's name.
        client: String,
        /// What it sends.
        payload: Payload,
    },
    /// `alice < MESSAGE`: the next message that the client receives.
    Expect {
        /// The client's name.
        client: String,
        /// The message.
        expected: Expected,
    },
    /// `alice > (subscribe room:1)`: a client that speaks `hassock.v1` asks the host for something.
    Say {
        /// The client's name.
        client: String,
        /// What it asks for.
        said: Said,
    },
    /// `alice < (room:1) MESSAGE`: the next message that a client that speaks `hassock.v1` receives, if it has a header.
    Hear {
        /// The client's name.
        client: String,
        /// The message with its header.
        heard: Heard,
    },
    /// `publish (room:1) MESSAGE`: another program publishes.
    Publish(Publish),
    /// `alice nothing`: the client has received nothing that earlier steps did not expect, and its connection is open.
    Nothing {
        /// The client's name.
        client: String,
    },
    /// `alice skips`: what the client has received so far does not matter.
    Skip {
        /// The client's name.
        client: String,
    },
    /// `alice disconnects`, `alice disconnects 1001`, `alice disconnects 1001 bye`: with a close frame.
    Disconnect {
        /// The client's name.
        client: String,
        /// Code and reason of the close frame, if it has any.
        close: Option<(u16, String)>,
    },
    /// `alice vanishes`: the client's connection breaks, without a close frame.
    Vanish {
        /// The client's name.
        client: String,
    },
    /// `alice closed 1011`, `alice closed 1011 /regex/`, `alice closed 1011 the exact reason`: the host or
    /// the module closes the connection.
    Closed {
        /// The client's name.
        client: String,
        /// The close code.
        code: u16,
        /// The reason, if it matters.
        reason: Option<TextPattern>,
    },
    /// `failed`, `failed app-timer`, `failed closed: /trap/`, `failed app-timer: the exact error`: a call of a module has
    /// failed. `alice closed 1011` expects the failed call that closed the connection, `connect … refused 500` the
    /// failed `open`, and `fail call: …` the failure that it causes. Every other failed call needs this step.
    Failed {
        /// The exported function; none if it does not matter.
        call: Option<String>,
        /// The error, if it matters.
        error: Option<TextPattern>,
    },
    /// `sql main: STATEMENT`, and indented below it a table if its rows are expected.
    Sql {
        /// The database's name in the config.
        database: String,
        /// The statement. `${NAME}` in it stands for what was captured under that name, without quotation marks.
        statement: String,
        /// The rows that the statement returns.
        expected: Option<Table>,
    },
    /// `sql main: file schema.sql`: all statements of a file, relative to the transcript, as an administrator would
    /// run them: they may be any, triggers and transactions included.
    Script {
        /// The database's name in the config.
        database: String,
        /// The path.
        file: String,
    },
    /// `advance 30s`
    Advance(Duration),
    /// `swap chat-v2.wasm`, or `swap chat: chat-v2.wasm` if there are several apps.
    Swap {
        /// The name of the app; none if there is only one.
        app: Option<String>,
        /// The component's file, relative to the transcript.
        file: String,
    },
    /// `fail …`
    Fail(Fault),
    /// `set settings.greeting = "hello"`: a key of the app's config, or `apps.NAME.…` of one of several.
    Set {
        /// The key.
        key: String,
        /// The value as TOML.
        value: String,
    },
}

/// A client that connects.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectStep {
    /// What the transcript calls the client.
    pub client: String,
    /// The request: header fields are indented below (`origin: https://example.org`), and so is the id of the
    /// connection (`@id: 17`), which recorded sessions have because modules may show ids. `hassock.v1` behind the target: the
    /// client speaks it, and may say which positions it has (`@since: room:1 ${p1}`). The target is empty in `alice returns`.
    pub request: Connect,
    /// What is expected.
    pub outcome: Outcome,
}

/// What a request for a WebSocket is expected to lead to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is accepted, with these header fields of the answer, indented below: `< sec-websocket-protocol: v2`.
    Accepted(Vec<(String, TextPattern)>),
    /// `alice returns resumed`: it is the connection from before.
    Resumed,
    /// `connect eve /chat refused 403`, `… refused 403 /regex/`, `… refused 403 the exact body`.
    Refused {
        /// The status of HTTP.
        status: u16,
        /// The body, if it matters. White space at its ends does not.
        body: Option<TextPattern>,
    },
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A text message. `${NAME}` in it stands for what was captured under that name.
    Text(String),
    /// `hex 00ff`: a binary message.
    Binary(Vec<u8>),
    /// `file picture.png`: a binary message with the bytes of a file, relative to the transcript.
    File(String),
}

/// A message that is expected.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Exactly this text. `${NAME}` in it stands for what was captured under that name.
    Text(String),
    /// A text message that is this JSON, in whatever order its keys are. Strings may be placeholders.
    Json(Json),
    /// A text message that the regular expression finds something in.
    Regex(Regex),
    /// Exactly these bytes.
    Binary(Vec<u8>),
    /// Exactly the bytes of a file, relative to the transcript.
    File(String),
}

/// A text that is expected.
#[derive(Debug, Clone, PartialEq)]
pub enum TextPattern {
    /// Exactly this.
    Exact(String),
    /// Something that the regular expression finds something in.
    Regex(Regex),
}

/// A regular expression that is equal to another one if it was written in the same way.
#[derive(Debug, Clone)]
pub struct Regex(pub regex::Regex);

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// Rows that are expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, as many cells each as there are columns. `NULL` and `x'00ff'` are written as in SQL, numbers
    /// and texts as they are, but the text `NULL`, or one in quotation marks, as a string of JSON: `"NULL"`.
    /// `${any}` is anything, `${NAME}` what was captured, and `/…/` a regular expression.
    pub rows: Vec<Vec<Cell>>,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// The value, written as a table shows it.
    Exact(String),
    /// `${any}`
    Any,
    /// `${NAME}`: what was captured under that name, as a table shows it.
    Captured(String),
    /// `/…/`
    Regex(Regex),
}

/// A fault that a step injects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `fail sql main: connection lost`: the next statement fails.
    Statement {
        /// The database's name in the config.
        database: String,
        /// How it fails.
        error: StatementFault,
    },
    /// `fail call: trap`, `fail call chat: trap`: the next call of the module fails.
    Call {
        /// The name of the app; none if there is only one.
        app: Option<String>,
        /// How it fails.
        error: CallFault,
    },
    /// `fail instances`, `fail instances chat`: all idle instances are dropped, with what they kept in memory.
    Instances {
        /// The name of the app; none if there is only one.
        app: Option<String>,
    },
    /// `fail outbox alice`: the client has read nothing for a long time. Its outbox is full until its session writes.
    Outbox {
        /// The client's name.
        client: String,
    },
}

impl TextPattern {
    /// A pattern for any text.
    #[must_use]
    pub fn anything() -> Self {
        match regex::Regex::new(".*") {
            Ok(regex) => Self::Regex(Regex(regex)),
            // It is a regular expression.
            Err(_) => Self::Exact(String::new()),
        }
    }
}
