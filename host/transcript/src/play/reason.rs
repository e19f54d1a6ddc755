//! Why a transcript failed.

use std::fmt;
use std::path::PathBuf;

use crate::backend::{BackendError, FailedCall, LogLine};
use crate::compare::Mismatch;

/// The number of messages that a sentence quotes. The first messages show what floods a client.
const QUOTED: usize = 5;

/// Characters of a message in a sentence.
const QUOTED_LENGTH: usize = 120;

/// A transcript that failed, and where.
#[derive(Debug)]
pub struct Failure {
    /// The line of the step, counted from 1.
    pub line: usize,
    /// The step, as a transcript has it.
    pub step: String,
    /// Why.
    pub reason: Reason,
    /// What the host logged meanwhile.
    pub log: Vec<LogLine>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say it")]
pub enum Reason {
    #[error("`{client}` got another message than expected{}", at(mismatch))]
    Message { client: String, mismatch: Mismatch },
    #[error("`{client}` got no message; its connection is open{}", because(delay))]
    NoMessage { client: String, mismatch: Mismatch, delay: Option<&'static str> },
    #[error("`{client}` got no message; its connection was closed with {close}")]
    ClosedInstead { client: String, close: Box<Close>, mismatch: Mismatch },
    #[error("`{client}` got a message; its connection was expected to be closed")]
    MessageInstead { client: String, mismatch: Mismatch },
    #[error("the connection of `{client}` was not closed; it is open{}", because(delay))]
    NotClosed { client: String, mismatch: Mismatch, delay: Option<&'static str> },
    #[error("the connection of `{client}` was closed in another way than expected")]
    Closed { client: String, mismatch: Mismatch },
    #[error("`{client}` {}, but nothing was expected", unread.sentence())]
    NotNothing { client: String, unread: Unread },
    #[error("`{client}` {}", unread.advice(client))]
    Unread { client: String, unread: Unread },
    #[error("`{client}` is not connected: {absence}")]
    Gone { client: String, absence: Absence },
    #[error("`{client}` was expected to be accepted; it was {}", one_line(&mismatch.got))]
    Refused { client: String, mismatch: Mismatch },
    #[error("`{client}` was accepted; it was expected to be refused")]
    Accepted { client: String, mismatch: Mismatch },
    #[error("`{client}` was refused in another way than expected")]
    Refusal { client: String, mismatch: Mismatch },
    #[error("the answer to `{client}` has another header field `{name}` than expected")]
    Header { client: String, name: String, mismatch: Mismatch },
    #[error("`{client}` has another connection than expected")]
    Resumption { client: String, mismatch: Mismatch },
    #[error("the rows of database `{database}` are not those that were expected")]
    Rows { database: String, mismatch: Mismatch },
    #[error("the message that was published has another position than expected")]
    Published { mismatch: Mismatch },
    #[error("the message cannot be sent: {0}; an earlier step captures it with `${{NAME=any}}`")]
    Capture(String),
    #[error("{} cannot be read: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{call}; no step expects that; if it should fail, add `failed {}`", call.call)]
    FailedCall { call: Box<FailedCall> },
    #[error("no call has failed as expected{}", because(delay))]
    NoFailedCall { mismatch: Mismatch, delay: Option<&'static str> },
    #[error("at the end {0}")]
    LooseEnd(String),
    #[error("the step cannot be played: {error}{}", closed_before(close))]
    Backend { error: BackendError, close: Option<Close> },
}

/// How a connection was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The close code.
    pub code: u16,
    /// The reason; may be empty.
    pub reason: String,
}

/// What a client got that no step expects. There is something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The messages, as a transcript has them.
    pub messages: Vec<String>,
    /// The close after them.
    pub close: Option<Close>,
}

/// Why a client is not connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say it")]
pub enum Absence {
    #[error("it was refused")]
    Refused,
    #[error("it has left")]
    Left,
    #[error("its connection was closed with {0}")]
    Closed(Close),
    #[error("it never connected")]
    Never,
}

impl Reason {
    /// What was expected and what came, if the sentence does not say it.
    pub fn mismatch(&self) -> Option<&Mismatch> {
        match self {
            Self::Message { mismatch, .. }
            | Self::NoMessage { mismatch, .. }
            | Self::ClosedInstead { mismatch, .. }
            | Self::MessageInstead { mismatch, .. }
            | Self::NotClosed { mismatch, .. }
            | Self::Closed { mismatch, .. }
            | Self::Refused { mismatch, .. }
            | Self::Accepted { mismatch, .. }
            | Self::Refusal { mismatch, .. }
            | Self::Header { mismatch, .. }
            | Self::Resumption { mismatch, .. }
            | Self::Rows { mismatch, .. }
            | Self::Published { mismatch }
            | Self::NoFailedCall { mismatch, .. } => Some(mismatch),
            Self::NotNothing { .. }
            | Self::Unread { .. }
            | Self::Gone { .. }
            | Self::Capture(_)
            | Self::File { .. }
            | Self::FailedCall { .. }
            | Self::LooseEnd(_)
            | Self::Backend { .. } => None,
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason}", self.code),
        }
    }
}

impl Unread {
    fn sentence(&self) -> String {
        let messages = self.got();
        match (&self.close, self.messages.is_empty()) {
            (None, _) => format!("got {messages}"),
            (Some(close), true) => format!("was closed with {close}"),
            (Some(close), false) => format!("got {messages} and was closed with {close}"),
        }
    }

    /// The end of a sentence that begins with the client.
    fn advice(&self, client: &str) -> String {
        let message = format!("`{client} < …`, or `{client} skips`");
        let count = count(self.messages.len());
        match &self.close {
            None => format!("got {count} that no step expects: {}; add {message}", self.quoted()),
            Some(close) => {
                let closed = format!("`{client} closed {}`", close.code);
                match self.messages.is_empty() {
                    true => format!("was closed with {close}, which no step expects; add {closed}"),
                    false => format!(
                        "got {count} that no step expects: {}, and then was closed with {close}; add {message}, \
                         and {closed}",
                        self.quoted()
                    ),
                }
            }
        }
    }

    fn got(&self) -> String {
        format!("{}: {}", count(self.messages.len()), self.quoted())
    }

    fn quoted(&self) -> String {
        let mut quoted: Vec<String> = self.messages.iter().take(QUOTED).map(|message| one_line(message)).collect();
        if self.messages.len() > QUOTED {
            quoted.push("…".to_owned());
        }
        quoted.join(", ")
    }
}

fn count(messages: usize) -> String {
    match messages {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}

/// At most so much of a text, on one line.
fn one_line(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(QUOTED_LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn at(mismatch: &Mismatch) -> String {
    mismatch.place.as_ref().map(|place| format!(", at {place}")).unwrap_or_default()
}

fn because(delay: &Option<&'static str>) -> String {
    delay.map(|delay| format!("; {delay}")).unwrap_or_default()
}

fn closed_before(close: &Option<Close>) -> String {
    close.as_ref().map(|close| format!("; the connection was closed with {close}")).unwrap_or_default()
}
