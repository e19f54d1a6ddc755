//! Transcripts made by hand, on a backend that does what a test says.

mod blessing;
mod double;
mod failed_calls;
mod failures;
mod order;
mod speech;

use double::Double;

use super::*;
use crate::backend::{Connect, FailedCall, Message, Received};
use crate::bless::apply;
use crate::format::{ConnectStep, Expected, Outcome, Payload, Regex, TextPattern, parse};

/// Steps as a file has them: their lines are those of [`text_of`].
fn transcript(actions: Vec<Action>) -> Transcript {
    let mut line = 0;
    let steps = actions.into_iter().map(|action| {
        let first = line + 1;
        line += step_text(&action).lines().count();
        Step { line: first, last_line: line, action }
    });
    Transcript { steps: steps.collect(), ..Transcript::default() }
}

fn text_of(transcript: &Transcript) -> String {
    transcript.steps.iter().map(|step| step_text(&step.action) + "\n").collect()
}

fn verify(actions: Vec<Action>, backend: &mut Double) -> Option<Failure> {
    let played = play(&transcript(actions), Path::new("/nowhere"), backend, Mode::Verify);
    assert_eq!(played.blessings, []);
    played.failure
}

/// Line and sentence of the failure.
fn sentence(actions: Vec<Action>, backend: &mut Double) -> String {
    let failure = verify(actions, backend).expect("the transcript fails");
    format!("{}: {}", failure.line, failure.reason)
}

/// The corrected text, which has to pass.
fn bless(actions: Vec<Action>, backend: &mut Double) -> String {
    let mut again = backend.clone();
    let transcript = transcript(actions);
    let played = play(&transcript, Path::new("/nowhere"), backend, Mode::Bless);
    assert!(played.failure.is_none(), "{:?}", played.failure);
    let blessed = apply(&text_of(&transcript), played.blessings);
    let corrected = parse(&blessed).unwrap_or_else(|error| panic!("{error}\n{blessed}"));
    let played = play(&corrected, Path::new("/nowhere"), &mut again, Mode::Verify);
    assert!(played.failure.is_none(), "{blessed}{:?}", played.failure);
    blessed
}

fn connect(client: &str) -> Action {
    connect_expecting(client, Outcome::Accepted(Vec::new()))
}

fn connect_expecting(client: &str, outcome: Outcome) -> Action {
    Action::Connect(ConnectStep { client: client.to_owned(), request: Connect::to("/chat"), outcome })
}

fn send(client: &str, text: &str) -> Action {
    Action::Send { client: client.to_owned(), payload: Payload::Text(text.to_owned()) }
}

fn gets(client: &str, text: &str) -> Action {
    Action::Expect { client: client.to_owned(), expected: Expected::Text(text.to_owned()) }
}

fn gets_json(client: &str, json: serde_json::Value) -> Action {
    Action::Expect { client: client.to_owned(), expected: Expected::Json(json) }
}

fn nothing(client: &str) -> Action {
    Action::Nothing { client: client.to_owned() }
}

fn skips(client: &str) -> Action {
    Action::Skip { client: client.to_owned() }
}

fn leaves(client: &str) -> Action {
    Action::Disconnect { client: client.to_owned(), close: None }
}

fn closed(client: &str, code: u16, reason: Option<&str>) -> Action {
    let reason = reason.map(|reason| TextPattern::Exact(reason.to_owned()));
    Action::Closed { client: client.to_owned(), code, reason }
}

fn text(text: &str) -> Received {
    Received::Message(Message::Text(text.to_owned()))
}

fn close(code: u16, reason: &str) -> Received {
    Received::Closed { code, reason: reason.to_owned() }
}

fn regex(text: &str) -> Regex {
    Regex(regex::Regex::new(text).unwrap())
}
