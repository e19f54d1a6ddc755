//! Steps as text.

use std::fmt::Write;

use super::{Action, Connect, Expected, Outcome, Payload, TextPattern};

/// A step as the parser reads it, without a line end behind it.
pub fn step(action: &Action) -> String {
    match action {
        Action::Connect(connect) => connection(connect),
        Action::Send { client, payload: Payload::Text(text) } => format!("{client} > {}", plain(text)),
        Action::Send { client, payload: Payload::Binary(bytes) } => format!("{client} > hex {}", hex(bytes)),
        Action::Send { client, payload: Payload::File(file) } => format!("{client} > file {file}"),
        Action::Expect { client, expected } => format!("{client} < {}", expectation(expected)),
        Action::Nothing { client } => format!("{client} nothing"),
        Action::Skip { client } => format!("{client} skips"),
        Action::Disconnect { client, close: None } => format!("{client} disconnects"),
        Action::Disconnect { client, close: Some((code, reason)) } => {
            format!("{client} disconnects {code} {reason}").trim_end().to_owned()
        }
        Action::Vanish { client } => format!("{client} vanishes"),
        Action::Closed { client, code, reason } => format!("{client} closed {code}{}", behind(reason.as_ref())),
        Action::Advance(time) => format!("advance {}", humantime::format_duration(*time)),
        Action::Sql { .. } | Action::Swap { .. } | Action::Fail(_) | Action::Set { .. } => String::new(),
    }
}

fn connection(connect: &Connect) -> String {
    let mut text = format!("connect {} {}", connect.client, connect.target);
    if let Outcome::Refused { status, body } = &connect.outcome {
        let _ = write!(text, " refused {status}{}", behind(body.as_ref()));
    }
    for (name, value) in &connect.headers {
        let _ = write!(text, "\n  {name}: {value}");
    }
    if let Some(id) = connect.id {
        let _ = write!(text, "\n  @id: {id}");
    }
    if let Outcome::Accepted(headers) = &connect.outcome {
        for (name, value) in headers {
            let _ = write!(text, "\n  < {name}: {}", pattern(value));
        }
    }
    text
}

fn expectation(expected: &Expected) -> String {
    match expected {
        Expected::Text(text) => plain(text),
        Expected::Json(json) => json.to_string(),
        Expected::Regex(regex) => format!("/{}/", regex.0.as_str()),
        Expected::Binary(bytes) => format!("hex {}", hex(bytes)),
        Expected::File(file) => format!("file {file}"),
    }
}

/// A text as it is, or quoted if it would be read as something else.
fn plain(text: &str) -> String {
    let is_word = ["text", "hex", "file"].iter().any(|word| text.split(' ').next() == Some(word));
    let is_plain = !text.is_empty() && text.trim() == text && !text.contains(char::is_control);
    match is_plain && !is_word && !text.starts_with('/') {
        true => text.to_owned(),
        false => format!("text {}", serde_json::Value::from(text)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn behind(text: Option<&TextPattern>) -> String {
    text.map(|text| format!(" {}", pattern(text))).unwrap_or_default()
}

fn pattern(text: &TextPattern) -> String {
    match text {
        TextPattern::Exact(text) => text.clone(),
        TextPattern::Regex(regex) => format!("/{}/", regex.0.as_str()),
    }
}
