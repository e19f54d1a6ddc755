//! From [`Transcript`] to text: the inverse of [`parse`](super::parse).

mod header;
mod table;
mod text;

use std::time::SystemTime;

use super::model::{Action, ConnectStep, Fault, Outcome, TextPattern, Transcript};
use crate::backend::{CallFault, StatementFault};
use crate::spoken::PROTOCOL;
pub use header::heard;
use text::{exact, expected, lines, pattern, payload};

/// The whole file. Reading it gives the same transcript, but for the numbers of lines.
#[must_use]
pub fn write(transcript: &Transcript) -> String {
    let mut text = String::new();
    if let Some(seed) = transcript.seed {
        text.push_str(&format!("seed {seed}\n"));
    }
    if let Some(clock) = transcript.clock {
        // An earlier time has no way to be written.
        let clock = clock.max(SystemTime::UNIX_EPOCH);
        text.push_str(&format!("clock {}\n", humantime::format_rfc3339(clock)));
    }
    for written in transcript.steps.iter().map(|each| step(&each.action)) {
        text.push_str(&written);
        text.push('\n');
    }
    text
}

/// One step: its lines, without a line end after the last one.
#[must_use]
pub fn step(action: &Action) -> String {
    match action {
        Action::Connect(connect) => self::connect(connect),
        Action::Send { client, payload } => format!("{client} >{}", self::payload(payload)),
        Action::Expect { client, expected } => format!("{client} <{}", self::expected(expected)),
        Action::Return(connect) => returns(connect),
        Action::Say { client, said } => format!("{client} > {}", header::said(said)),
        Action::Hear { client, heard } => format!("{client} < {}", header::heard(heard)),
        Action::Publish(publish) => header::publish(publish),
        Action::Nothing { client } => format!("{client} nothing"),
        Action::Skip { client } => format!("{client} skips"),
        Action::Disconnect { client, close } => disconnect(client, close.as_ref()),
        Action::Vanish { client } => format!("{client} vanishes"),
        Action::Closed { client, code, reason: None } => format!("{client} closed {code}"),
        Action::Closed { client, code, reason: Some(reason) } => format!("{client} closed {code} {}", pattern(reason)),
        Action::Failed { call, error } => failed(call.as_deref(), error.as_ref()),
        Action::Sql { database, statement, expected } => {
            let table = expected.as_ref().map(table::table).unwrap_or_default();
            format!("sql {database}:{}{table}", lines(statement))
        }
        Action::Script { database, file } => format!("sql {database}: file {file}"),
        Action::Advance(time) => format!("advance {}", humantime::format_duration(*time)),
        Action::Swap { app: None, file } => format!("swap {file}"),
        Action::Swap { app: Some(app), file } => format!("swap {app}: {file}"),
        Action::Fail(fault) => format!("fail {}", self::fault(fault)),
        Action::Set { key, value } => format!("set {key} = {value}"),
    }
}

fn connect(connect: &ConnectStep) -> String {
    let request = &connect.request;
    let speaks = request.speaks.as_ref().map(|_| format!(" {PROTOCOL}")).unwrap_or_default();
    format!("connect {} {}{speaks}{}", connect.client, request.target, answered(connect))
}

fn returns(connect: &ConnectStep) -> String {
    format!("{} returns{}", connect.client, answered(connect))
}

/// What is expected, and the lines below.
fn answered(connect: &ConnectStep) -> String {
    let request = &connect.request;
    let mut text = String::new();
    if connect.outcome == Outcome::Resumed {
        text.push_str(" resumed");
    }
    if let Outcome::Refused { status, body } = &connect.outcome {
        text.push_str(&format!(" refused {status}"));
        body.iter().for_each(|body| text.push_str(&format!(" {}", pattern(body))));
    }
    for (name, value) in &request.headers {
        text.push_str(&format!("\n  {name}:{}{value}", if value.is_empty() { "" } else { " " }));
    }
    for (topic, position) in request.speaks.iter().flatten() {
        text.push_str(&format!("\n  @since: {} {position}", header::word(topic)));
    }
    if let Some(id) = request.id {
        text.push_str(&format!("\n  @id: {id}"));
    }
    if let Outcome::Accepted(fields) = &connect.outcome {
        fields.iter().for_each(|(name, value)| text.push_str(&format!("\n  < {name}: {}", pattern(value))));
    }
    text
}

fn disconnect(client: &str, close: Option<&(u16, String)>) -> String {
    match close {
        None => format!("{client} disconnects"),
        Some((code, reason)) if reason.is_empty() => format!("{client} disconnects {code}"),
        Some((code, reason)) => format!("{client} disconnects {code} {}", exact(reason)),
    }
}

fn failed(call: Option<&str>, error: Option<&TextPattern>) -> String {
    let call = call.map(|call| format!(" {call}")).unwrap_or_default();
    let error = error.map(|error| format!(": {}", pattern(error))).unwrap_or_default();
    format!("failed{call}{error}")
}

fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Statement { database, error } => format!("sql {database}: {}", words(&StatementFault::ALL, *error)),
        Fault::Call { app: None, error } => format!("call: {}", words(&CallFault::ALL, *error)),
        Fault::Call { app: Some(app), error } => format!("call {app}: {}", words(&CallFault::ALL, *error)),
        Fault::Instances { app: None } => "instances".to_owned(),
        Fault::Instances { app: Some(app) } => format!("instances {app}"),
        Fault::Outbox { client } => format!("outbox {client}"),
    }
}

fn words<T: PartialEq>(all: &[(T, &'static str)], fault: T) -> &'static str {
    all.iter().find(|(each, _)| *each == fault).map_or("", |(_, words)| words)
}
