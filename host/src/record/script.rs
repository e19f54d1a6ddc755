//! A recording as a transcript: each event becomes a step, and the time between them `advance`.

use std::time::Duration;

use regex::Regex as Pattern;
use serde::Serialize;

use super::event::{EndedBy, Entry, Event, Received, Sent};
use crate::transcript::format::{Action, Connect, Expected, Outcome, Payload, Regex, TextPattern, step};
use crate::transcript::lasting::lasting;

/// Less than this between two steps is how long they took, not a pause. Before a timer, every millisecond counts.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes the text of a transcript of the events of a recording.
#[derive(Debug, Default)]
pub struct Script {
    /// How far `advance` has brought the transcript's clock.
    clock: Duration,
    tally: Tally,
}

/// What was recorded so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Connections that were accepted.
    pub connections: usize,
    /// Requests that were refused.
    pub refused: usize,
    /// Messages in both directions.
    pub messages: usize,
}

impl Script {
    /// What was recorded so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The lines for an event; nothing for some.
    pub fn lines(&mut self, entry: Entry) -> String {
        let now = Duration::from_micros(entry.at);
        let passed = now.saturating_sub(self.clock);
        match entry.event {
            Event::Began { app, version, clock, .. } => head(&app, &version, &clock),
            Event::Fired => self.advance(passed),
            Event::Complete | Event::CutShort | Event::TooSlow { .. } => String::new(),
            event => {
                self.count(&event);
                let time = if passed >= PAUSE { self.advance(passed) } else { String::new() };
                time + &skip(&event) + &action(event).map(|action| line(&action)).unwrap_or_default()
            }
        }
    }

    /// Bring the clock to a whole millisecond, never behind the recording's: a timer that fired there fires here.
    fn advance(&mut self, passed: Duration) -> String {
        let whole = u64::try_from(passed.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let time = Duration::from_millis(whole);
        self.clock += time;
        if time.is_zero() { String::new() } else { line(&Action::Advance(time)) }
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Connected { .. } => self.tally.connections += 1,
            Event::Refused { .. } => self.tally.refused += 1,
            Event::Sent { .. } | Event::Received { .. } => self.tally.messages += 1,
            _ => {}
        }
    }
}

fn head(app: &str, version: &str, clock: &str) -> String {
    // A name may hold anything, and a comment ends with its line.
    let app = app.replace(char::is_control, " ");
    format!("# recorded from {app} (version {version}) at {clock}\nclock {clock}\n")
}

fn line(action: &Action) -> String {
    let mut text = step(action).trim_end().to_owned();
    text.push('\n');
    text
}

/// When a client goes, something may be on its way to it that never arrives. In the replay everything arrives.
fn skip(event: &Event) -> String {
    match event {
        Event::Ended { client, by: EndedBy::Client | EndedBy::Transport, .. } => {
            line(&Action::Skip { client: client.clone() })
        }
        _ => String::new(),
    }
}

/// The step that an event is; none for what is no step.
fn action(event: Event) -> Option<Action> {
    match event {
        Event::Connected { client, request, id, answer } => {
            let value = |value: Option<String>| value.map_or_else(anything, TextPattern::Exact);
            let answer = answer.into_iter().map(|(name, content)| (name, value(content))).collect();
            let outcome = Outcome::Accepted(answer);
            let (target, headers) = (request.target, request.headers);
            Some(Action::Connect(Connect { client, target, headers, id: Some(id), outcome }))
        }
        Event::Refused { client, request, status, body } => {
            let body = lasting(body.trim());
            let (target, headers) = (request.target, request.headers);
            Some(Action::Connect(Connect {
                client,
                target,
                headers,
                id: None,
                outcome: Outcome::Refused { status, body },
            }))
        }
        Event::Sent { client, message } => Some(Action::Send { client, payload: payload(message) }),
        Event::Received { client, message } => Some(Action::Expect { client, expected: expected(message) }),
        Event::Ended { client, by, code, reason } => Some(ended(client, by, code, &reason)),
        Event::Began { .. } | Event::Fired | Event::Complete | Event::CutShort | Event::TooSlow { .. } => None,
    }
}

fn payload(message: Sent) -> Payload {
    match message {
        Sent::Text(text) => Payload::Text(text),
        Sent::Binary(data) => Payload::Binary(data),
    }
}

fn expected(message: Received) -> Expected {
    match message {
        Received::Text(text) => Expected::Text(text),
        Received::Json(json) => Expected::Json(json),
        Received::Binary(data) => Expected::Binary(data),
    }
}

fn ended(client: String, by: EndedBy, code: u16, reason: &str) -> Action {
    match by {
        EndedBy::Transport => Action::Vanish { client },
        // A close frame without a code.
        EndedBy::Client if code == 1005 => Action::Disconnect { client, close: None },
        // A step is a line.
        EndedBy::Client => Action::Disconnect { client, close: Some((code, reason.replace(char::is_control, " "))) },
        EndedBy::Module | EndedBy::Host => Action::Closed { client, code, reason: lasting(reason) },
    }
}

fn anything() -> TextPattern {
    match Pattern::new(".*") {
        Ok(pattern) => TextPattern::Regex(Regex(pattern)),
        // It is one.
        Err(_) => TextPattern::Exact(String::new()),
    }
}
