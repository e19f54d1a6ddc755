//! JSON in messages, and the placeholders within it.

use serde_json::Value as Json;

use super::super::placeholder::{Kind, Placeholder};
use super::ParseError;
use super::cursor::COMMENT_ADVICE;
use super::lines::Lines;
use super::scope::Scope;

/// Read a message that begins like JSON.
pub(super) fn json(lines: &Lines<'_>, text: &str) -> Result<Json, ParseError> {
    serde_json::from_str(text).map_err(|error| {
        let byte = if error.is_eof() { text.len() } else { lines.byte(error.line(), error.column()) };
        let reason = reason(&error);
        let advice = advice(text, byte);
        lines.error_at(byte, format!("not JSON: {reason}; {advice}"))
    })
}

/// What may have been meant by what is no JSON from a byte on.
fn advice(text: &str, byte: usize) -> &'static str {
    if text.get(byte..).is_some_and(|rest| rest.starts_with('#')) {
        return COMMENT_ADVICE;
    }
    match has_unquoted_placeholder(text) {
        true => "placeholders stand in quotation marks",
        false => "for a text that only looks like JSON write `text \"…\"`",
    }
}

fn has_unquoted_placeholder(text: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().any(|(at, char)| {
        match char {
            '"' if !escaped => quoted = !quoted,
            '$' if !quoted && text.get(at..).is_some_and(|rest| rest.starts_with("${")) => return true,
            _ => {}
        }
        escaped = char == '\\' && quoted && !escaped;
        false
    })
}

/// What is wrong, without the place.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// Look at every placeholder, and make known what they capture.
pub(super) fn check_placeholders(
    json: &Json,
    lines: &Lines<'_>,
    text: &str,
    scope: &mut Scope,
) -> Result<(), ParseError> {
    let mut captures = Vec::new();
    visit(json, &mut |string| {
        check(string, scope, &mut captures).map_err(|message| {
            // Escapes in it may hide where the string is written.
            let byte = serde_json::to_string(string).ok().and_then(|written| text.find(&written)).unwrap_or_default();
            lines.error_at(byte, message)
        })
    })?;
    captures.into_iter().for_each(|name| scope.capture(name));
    Ok(())
}

fn check(string: &str, scope: &Scope, captures: &mut Vec<String>) -> Result<(), String> {
    match Placeholder::parse(string)? {
        Some(Placeholder::Capture(name, _)) if captures.contains(&name) => {
            Err(format!("this message captures `{name}` twice; use another name"))
        }
        Some(Placeholder::Capture(name, _)) => {
            captures.push(name);
            Ok(())
        }
        Some(Placeholder::Captured(name)) => {
            let advice = format!("the kinds of values are {}", Kind::expected());
            scope.check_captured(&name, &advice, &Kind::names().collect::<Vec<_>>())
        }
        Some(Placeholder::Kind(_)) | None => Ok(()),
    }
}

/// Every string that is a value. serde_json bounds how deep a value is.
fn visit(json: &Json, see: &mut impl FnMut(&str) -> Result<(), ParseError>) -> Result<(), ParseError> {
    match json {
        Json::String(string) => see(string),
        Json::Array(values) => values.iter().try_for_each(|value| visit(value, see)),
        Json::Object(fields) => fields.values().try_for_each(|value| visit(value, see)),
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}
