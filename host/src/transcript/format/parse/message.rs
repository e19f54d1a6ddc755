//! Messages: what a client sends, and what it expects.

use serde_json::Value as Json;

use super::super::model::{Expected, Payload};
use super::super::names::is_blank;
use super::ParseError;
use super::cursor::COMMENT_ADVICE;
use super::json::{check_placeholders, json};
use super::lines::Lines;
use super::pattern::{argument, regex_between, string};
use super::references::{check, check_expected};
use super::scope::Scope;

/// What messages of both directions can be.
enum Form {
    Json(Json),
    /// `text "…"`
    Quoted(String),
    /// `hex 00ff`
    Binary(Vec<u8>),
    /// `file PATH`
    File(String),
    /// Anything else.
    Plain,
}

/// After `>`.
pub(super) fn payload(lines: &Lines<'_>, scope: &Scope) -> Result<Payload, ParseError> {
    let text = lines.text();
    match form(lines, &text)? {
        Form::Binary(bytes) => Ok(Payload::Binary(bytes)),
        Form::File(path) => Ok(Payload::File(path)),
        Form::Quoted(quoted) => {
            check(&quoted, scope).map_err(|(_, message)| lines.error(message))?;
            Ok(Payload::Text(quoted))
        }
        Form::Json(_) | Form::Plain => {
            check(&text, scope).map_err(|(byte, message)| lines.error_at(byte, message))?;
            Ok(Payload::Text(text))
        }
    }
}

/// After `<`.
pub(super) fn expected(lines: &Lines<'_>, scope: &mut Scope) -> Result<Expected, ParseError> {
    let text = lines.text();
    match form(lines, &text)? {
        Form::Binary(bytes) => Ok(Expected::Binary(bytes)),
        Form::File(path) => Ok(Expected::File(path)),
        Form::Quoted(quoted) => {
            check_expected(&quoted, scope).map_err(|(_, message)| lines.error(message))?;
            Ok(Expected::Text(quoted))
        }
        Form::Json(json) => {
            check_placeholders(&json, lines, &text, scope)?;
            Ok(Expected::Json(json))
        }
        Form::Plain if text.starts_with('/') => {
            regex_between(&text).map(Expected::Regex).map_err(|message| lines.error(message))
        }
        Form::Plain => {
            check_expected(&text, scope).map_err(|(byte, message)| lines.error_at(byte, message))?;
            Ok(Expected::Text(text))
        }
    }
}

fn form(lines: &Lines<'_>, text: &str) -> Result<Form, ParseError> {
    if text.is_empty() {
        return Err(lines.error("a message is missing; for an empty one write `text`"));
    }
    if text.starts_with(['{', '[', '"']) {
        return json(lines, text).map(Form::Json);
    }
    if let Some(quoted) = string(text) {
        return quoted.map(Form::Quoted).map_err(|message| lines.error(message));
    }
    if let Some(digits) = argument(text, "hex") {
        return hex(lines, text.len() - digits.len(), digits).map(Form::Binary);
    }
    if let Some(path) = argument(text, "file") {
        return file(lines, path).map(Form::File);
    }
    Ok(Form::Plain)
}

/// Pairs of hexadecimal digits, which begin at this byte of the lines.
fn hex(lines: &Lines<'_>, start: usize, digits: &str) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::new();
    let mut half = None;
    for (at, char) in digits.char_indices().filter(|(_, char)| !is_blank(*char) && *char != '\n') {
        let digit = char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(|| {
            let advice = match char {
                '#' => COMMENT_ADVICE,
                _ => "for a text that begins with `hex` write `text \"…\"`",
            };
            lines.error_at(start + at, format!("expected a hexadecimal digit, not `{char}`; {advice}"))
        })?;
        half = match half {
            None => Some(digit),
            Some(high) => {
                bytes.push(high * 16 + digit);
                None
            }
        };
    }
    match half {
        None => Ok(bytes),
        Some(_) => Err(lines.error_at(start + digits.len(), "expected another hexadecimal digit: a byte has two")),
    }
}

fn file(lines: &Lines<'_>, path: &str) -> Result<String, ParseError> {
    if path.is_empty() {
        return Err(lines.error("expected a path after `file`; for this text itself write `text \"file\"`"));
    }
    if path.contains('\n') {
        return Err(
            lines.error("the path of a file is one line; for a text that begins with `file` write `text \"…\"`")
        );
    }
    Ok(path.to_owned())
}
