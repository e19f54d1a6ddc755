//! What has been recorded, and how the user sees it.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::record::Event;
use crate::text::terminal_text;

/// The shortest time between two updates of a terminal.
const REFRESH: Duration = Duration::from_millis(100);

/// What is in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Connections that were accepted.
    pub(super) connections: usize,
    /// Requests that were refused.
    pub(super) refused: usize,
    /// Messages in both directions.
    pub(super) messages: usize,
}

/// What an event adds to a [`Tally`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Connection,
    Refusal,
    Message,
    Nothing,
}

impl Counted {
    pub(super) fn of(event: &Event) -> Self {
        match event {
            Event::Connected { .. } => Self::Connection,
            Event::Refused { .. } => Self::Refusal,
            Event::Sent { .. } | Event::Received { .. } | Event::Said { .. } | Event::Heard { .. } => Self::Message,
            _ => Self::Nothing,
        }
    }
}

impl Tally {
    /// Count an event that has been written.
    pub(super) fn add(&mut self, counted: Counted) {
        match counted {
            Counted::Connection => self.connections += 1,
            Counted::Refusal => self.refused += 1,
            Counted::Message => self.messages += 1,
            Counted::Nothing => {}
        }
    }
}

/// Shows the progress on standard error: in one line of a terminal, or in a line for each connection.
pub(super) struct Progress {
    app: String,
    wanted: usize,
    is_terminal: bool,
    told: Option<(Tally, Instant)>,
    latest: Tally,
}

impl Progress {
    pub(super) fn new(app: &str, wanted: usize) -> Self {
        let (app, is_terminal) = (terminal_text(app).replace('\n', " "), stderr().is_terminal());
        Self { app, wanted, is_terminal, told: None, latest: Tally::default() }
    }

    pub(super) fn tell(&mut self, tally: Tally) {
        self.latest = tally;
        let is_due = self.told.is_none_or(|(told, at)| match self.is_terminal {
            true => told != tally && at.elapsed() >= REFRESH,
            false => told.connections != tally.connections,
        });
        if is_due {
            self.told = Some((tally, Instant::now()));
            self.print();
        }
    }

    fn print(&self) {
        let (app, wanted, Tally { connections, messages, .. }) = (&self.app, self.wanted, self.latest);
        let (of, messages) = (count(wanted, "connection"), count(messages, "message"));
        let line = format!("recording {app}: {connections} of {of}, {messages}; Ctrl-C ends");
        match self.is_terminal {
            true => say(&format!("\r{line}\x1b[K")),
            false => say(&format!("{line}\n")),
        }
    }

    pub(super) fn end(&self) {
        if self.is_terminal && self.told.is_some() {
            self.print();
            say("\n");
        }
    }
}

/// A closed standard error does not end the recording.
fn say(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

pub(super) fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
