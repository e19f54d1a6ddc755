//! Texts, in the plainest form that is read as the same text.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::super::model::{Expected, Payload, Regex, TextPattern};
use super::super::names::is_blank;

/// What follows `>`.
pub(super) fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) if is_plain_json(text) || is_plain(text) => lines(text),
        Payload::Text(text) => format!(" {}", quoted(text)),
        Payload::Binary(bytes) => hex(bytes),
        Payload::File(path) => format!(" file {path}"),
    }
}

/// What follows `<`.
pub(super) fn expected(expected: &Expected) -> String {
    match expected {
        Expected::Text(text) if is_plain(text) && !text.starts_with('/') => lines(text),
        Expected::Text(text) => format!(" {}", quoted(text)),
        // A number, a truth value or null is read as a text, which is the same message.
        Expected::Json(json) => format!(" {json}"),
        Expected::Regex(source) => format!(" {}", regex(source)),
        Expected::Binary(bytes) => hex(bytes),
        Expected::File(path) => format!(" file {path}"),
    }
}

/// A text that is expected, on one line.
pub(super) fn pattern(pattern: &TextPattern) -> String {
    match pattern {
        TextPattern::Regex(source) => regex(source),
        TextPattern::Exact(text) if text.starts_with('/') || text.is_empty() => quoted(text),
        TextPattern::Exact(text) => exact(text),
    }
}

/// A text on one line, where no regular expression can be.
pub(super) fn exact(text: &str) -> String {
    let plain =
        !begins_word(text, "text") && !text.starts_with('#') && is_trimmed(text) && !text.contains(char::is_control);
    if plain { text.to_owned() } else { quoted(text) }
}

/// A regular expression; a line end, which would end it, has an escape.
pub(super) fn regex(regex: &Regex) -> String {
    format!("/{}/", regex.0.as_str().replace('\n', "\\n"))
}

/// A text over one or several lines, with what separates it from what is before.
pub(super) fn lines(text: &str) -> String {
    let below = text.split('\n').skip(1);
    // What is indented in all lines would be taken for the indentation of the step.
    let shifted = below.clone().next().is_some() && below.clone().all(|line| line.starts_with(is_blank));
    let first = text.split('\n').next().unwrap_or_default();
    let start = if shifted { format!("\n  {first}") } else { format!(" {first}") };
    below.fold(start, |mut written, line| {
        written.push_str("\n  ");
        written.push_str(line);
        written
    })
}

fn quoted(text: &str) -> String {
    match text.is_empty() {
        true => "text".to_owned(),
        false => format!("text {}", Json::from(text)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let start = if bytes.is_empty() { " hex" } else { " hex " };
    bytes.iter().fold(start.to_owned(), |mut written, byte| {
        // Writing to a string does not fail.
        let _ = write!(written, "{byte:02x}");
        written
    })
}

/// Whether a text is read as itself, and not as JSON, bytes or a file.
fn is_plain(text: &str) -> bool {
    // A parenthesis would begin a header.
    !text.starts_with(['{', '[', '"', '('])
        && !["text", "hex", "file"].iter().any(|word| begins_word(text, word))
        && is_visible(text)
}

/// Whether a text is read as itself because it is JSON.
fn is_plain_json(text: &str) -> bool {
    text.starts_with(['{', '[', '"']) && is_visible(text) && serde_json::from_str::<Json>(text).is_ok()
}

/// Whether each line is there to be seen, wholly: neither blank, nor a comment, nor with white space at its end.
fn is_visible(text: &str) -> bool {
    let control = |char: char| char.is_control() && char != '\n' && char != '\t';
    let hidden = |line: &str| line.trim_start_matches(is_blank).starts_with('#') || line.ends_with(is_blank);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    is_trimmed(first)
        && !first.is_empty()
        && !text.contains(control)
        && lines.all(|line| !line.is_empty() && !hidden(line))
}

fn is_trimmed(text: &str) -> bool {
    !text.starts_with(is_blank) && !text.ends_with(is_blank)
}

fn begins_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']))
}
