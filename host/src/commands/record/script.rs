//! Turns the events of a recording into a transcript: each event becomes a step, and the time between them `advance`.

use std::collections::BTreeMap;
use std::time::Duration;

use hassock_transcript::backend::Connect;
use hassock_transcript::format::placeholder::{Kind, escape, placeholder};
use hassock_transcript::format::{Action, ConnectStep, Expected, Outcome, Payload, Publish, TextPattern, step};
use hassock_transcript::stable::stable_pattern;
use serde_json::Value as Json;

use super::spoken::{self, Positions};

use crate::record::{EndedBy, Entry, Event, Received, RecordedRequest, Sent};

/// A shorter time between two steps is not a pause, but the time that they took. Before a timer, each millisecond
/// counts.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes the text of a transcript from the events of a recording.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// How far `advance` has moved the transcript's clock.
    clock: Duration,
    positions: Positions,
    /// The app that is recorded.
    app: String,
}

impl Script {
    /// The lines for an event; nothing for some.
    pub(super) fn lines(&mut self, entry: Entry) -> String {
        let now = Duration::from_micros(entry.at);
        let passed = now.saturating_sub(self.clock);
        match entry.event {
            Event::Began { app, version, clock, .. } => {
                let head = head(&app, &version, &clock);
                self.app = app;
                head
            }
            Event::Fired => self.advance(passed),
            Event::Complete | Event::CutShort | Event::TooSlow { .. } => String::new(),
            event => {
                let time = if passed >= PAUSE { self.advance(passed) } else { String::new() };
                time + &skip(&event) + &self.action(event).map(|action| line(&action)).unwrap_or_default()
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

    /// The step for an event; none for an event that is not a step.
    fn action(&mut self, event: Event) -> Option<Action> {
        match event {
            Event::Connected { client, request, id, answer, since } => {
                let value = |value: Option<String>| value.map_or_else(TextPattern::anything, TextPattern::Exact);
                let answer = answer.into_iter().map(|(name, content)| (name, value(content))).collect();
                let outcome = Outcome::Accepted(answer);
                let speaks = since.map(|since| self.since(&since));
                let request = Connect { id: Some(id), speaks, ..asked(request) };
                Some(Action::Connect(ConnectStep { client, request, outcome }))
            }
            Event::Refused { client, request, status, body } => {
                let outcome = Outcome::Refused { status, body: stable_pattern(body.trim()) };
                Some(Action::Connect(ConnectStep { client, request: asked(request), outcome }))
            }
            Event::Sent { client, message } => Some(Action::Send { client, payload: payload(message) }),
            Event::Received { client, message } => Some(Action::Expect { client, expected: expected(message) }),
            Event::Said { client, header, message } => spoken::said(client, &header, message, &self.positions),
            Event::Heard { client, header, redacted, message } => {
                spoken::heard(client, header, redacted, message, &mut self.positions)
            }
            Event::Published { topic, id, message } => Some(Action::Publish(Publish {
                app: Some(self.app.clone()),
                topic: escape(&topic),
                id: id.as_deref().map(escape),
                position: None,
                payload: payload(message),
            })),
            Event::Ended { client, by, code, reason } => Some(ended(client, by, code, &reason)),
            Event::Began { .. } | Event::Fired | Event::Complete | Event::CutShort | Event::TooSlow { .. } => None,
        }
    }

    /// Where a client was when it connected.
    fn since(&self, since: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let said = |(topic, position): (&String, &String)| (escape(topic), self.positions.said(topic, position));
        since.iter().map(said).collect()
    }
}

fn head(app: &str, version: &str, clock: &str) -> String {
    // A name may hold any character, and a comment ends with its line.
    let app = app.replace(char::is_control, " ");
    format!("# recorded from {app} (version {version}) at {clock}\nclock {clock}\n")
}

fn line(action: &Action) -> String {
    let mut text = step(action).trim_end().to_owned();
    text.push('\n');
    text
}

/// When a client leaves, a message to it may never arrive. In the replay everything arrives.
fn skip(event: &Event) -> String {
    match event {
        Event::Ended { client, by: EndedBy::Client | EndedBy::Transport, .. } => {
            line(&Action::Skip { client: client.clone() })
        }
        _ => String::new(),
    }
}

/// A request. Strings of the traffic that look like placeholders are escaped.
fn asked(request: RecordedRequest) -> Connect {
    let headers = request.headers.into_iter().map(|(name, value)| (name, escape(&value))).collect();
    Connect { target: escape(&request.target), headers, ..Connect::default() }
}

/// JSON that is expected: redacted values may be anything, and other strings are escaped.
fn expected_json(mut value: Json, redacted: &[String]) -> Json {
    escape_all(&mut value);
    for pointer in redacted {
        if let Some(place) = value.pointer_mut(pointer) {
            *place = placeholder(&Kind::Any).into();
        }
    }
    value
}

fn escape_all(json: &mut Json) {
    match json {
        Json::String(text) => *text = escape(text),
        Json::Array(items) => items.iter_mut().for_each(escape_all),
        Json::Object(fields) => fields.values_mut().for_each(escape_all),
        _ => {}
    }
}

pub(super) fn payload(message: Sent) -> Payload {
    match message {
        Sent::Text(text) => Payload::Text(escape(&text)),
        Sent::Binary(data) => Payload::Binary(data),
    }
}

pub(super) fn expected(message: Received) -> Expected {
    match message {
        Received::Text(text) => Expected::Text(escape(&text)),
        // The whole message is redacted, and it need not be JSON.
        Received::Json { redacted, .. } if redacted.iter().any(String::is_empty) => anything(),
        Received::Json { value, redacted } => Expected::Json(expected_json(value, &redacted)),
        Received::Binary(data) => Expected::Binary(data),
    }
}

fn anything() -> Expected {
    match TextPattern::anything() {
        TextPattern::Regex(regex) => Expected::Regex(regex),
        TextPattern::Exact(text) => Expected::Text(text),
    }
}

fn ended(client: String, by: EndedBy, code: u16, reason: &str) -> Action {
    match by {
        EndedBy::Transport => Action::Vanish { client },
        // A close frame without a code.
        EndedBy::Client if code == 1005 => Action::Disconnect { client, close: None },
        // A step is a line.
        EndedBy::Client => Action::Disconnect { client, close: Some((code, reason.replace(char::is_control, " "))) },
        EndedBy::Module | EndedBy::Host => Action::Closed { client, code, reason: stable_pattern(reason) },
    }
}
