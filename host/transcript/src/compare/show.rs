//! Messages as people read them.

use serde_json::Value as Json;

use crate::backend::Message;
use crate::format::{Expected, TextPattern};

/// Bytes of a binary message that are shown: enough to recognise it, and few enough for a terminal.
const SHOWN_BYTES: usize = 256;

/// A message that is expected, as a transcript has it.
pub fn written(expected: &Expected) -> String {
    match expected {
        Expected::Text(expected) => text(expected),
        Expected::Json(expected) => json(expected),
        Expected::Regex(regex) => format!("/{}/", regex.0.as_str()),
        Expected::Binary(bytes) => hex(bytes),
        Expected::File(path) => format!("file {path}"),
    }
}

/// A message that came.
pub fn message(message: &Message) -> String {
    match message {
        Message::Text(got) => text(got),
        Message::Binary(bytes) => hex(bytes),
    }
}

pub(super) fn pattern(pattern: &TextPattern) -> String {
    match pattern {
        TextPattern::Exact(expected) => text(expected),
        TextPattern::Regex(regex) => format!("/{}/", regex.0.as_str()),
    }
}

/// The text, or a string of JSON where it would look like another one.
pub(super) fn text(text: &str) -> String {
    let strange = |c: char| c.is_control() && c != '\n';
    match text.is_empty() || text.trim() != text || text.contains(strange) {
        true => format!("text {}", Json::from(text)),
        false => text.to_owned(),
    }
}

pub(super) fn json(json: &Json) -> String {
    json.to_string()
}

/// On several lines, keys sorted.
pub(super) fn pretty(json: &Json) -> String {
    let mut sorted = json.clone();
    sorted.sort_all_objects();
    format!("{sorted:#}")
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
    match bytes.len() > SHOWN_BYTES {
        true => format!("hex {} … ({} bytes)", shown.join(" "), bytes.len()),
        false => format!("hex {}", shown.join(" ")).trim_end().to_owned(),
    }
}
