//! Messages that clients send and expect: text, JSON with placeholders, bytes, files and regular expressions.

use serde_json::Value as Json;

use super::super::model::{Expected, Payload, Regex, TextPattern};
use super::super::names::is_blank;
use super::super::placeholder::{Kind, Placeholder, regex_of};
use super::cursor::{COMMENT_ADVICE, Cursor, Lines};
use super::{ParseError, Scope};

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
            scope.check_text(&quoted).map_err(|(_, message)| lines.error(message))?;
            Ok(Payload::Text(quoted))
        }
        Form::Json(_) | Form::Plain => {
            scope.check_text(&text).map_err(|(byte, message)| lines.error_at(byte, message))?;
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
            scope.check_expected(&quoted).map_err(|(_, message)| lines.error(message))?;
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
            scope.check_expected(&text).map_err(|(byte, message)| lines.error_at(byte, message))?;
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

/// The rest of a line, which is not blank.
pub(super) fn pattern(cursor: Cursor<'_>) -> Result<TextPattern, ParseError> {
    if cursor.rest().starts_with('/') {
        return regex_between(cursor.rest()).map(TextPattern::Regex).map_err(|message| cursor.error(message));
    }
    exact(cursor).map(TextPattern::Exact)
}

/// The rest of a line as it is, or what `text "…"` stands for. A `#` at its beginning is meant as a comment.
pub(super) fn exact(cursor: Cursor<'_>) -> Result<String, ParseError> {
    if cursor.rest().starts_with('#') {
        return Err(cursor.error(format!("{COMMENT_ADVICE}; for a text that begins with `#` write `text \"#…\"`")));
    }
    match string(cursor.rest()) {
        Some(text) => text.map_err(|message| cursor.error(message)),
        None => Ok(cursor.rest().to_owned()),
    }
}

/// `/regex/`
pub(super) fn regex_between(text: &str) -> Result<Regex, String> {
    let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|inner| !inner.contains('\n'));
    let inner = inner.ok_or_else(|| {
        let advice = match text.contains("/ #") {
            true => COMMENT_ADVICE,
            false => "for a text that begins with `/` write `text \"…\"`",
        };
        format!("a regular expression ends with `/` at the end of its line; {advice}")
    })?;
    regex_of(inner)
}

/// What `text "…"` stands for, or `text` alone. None if it is another text, such as `text me`.
fn string(text: &str) -> Option<Result<String, String>> {
    let quoted = argument(text, "text")?;
    if quoted.is_empty() {
        return Some(Ok(String::new()));
    }
    quoted.starts_with('"').then(|| {
        serde_json::from_str(quoted).map_err(|error| {
            format!("expected a JSON string after `text`, and nothing behind it: {}", string_error(quoted, &error))
        })
    })
}

fn string_error(quoted: &str, error: &serde_json::Error) -> String {
    let rest = quoted
        .lines()
        .nth(error.line().saturating_sub(1))
        .and_then(|line| line.get(error.column().saturating_sub(1)..));
    match rest.is_some_and(|rest| rest.starts_with('#')) {
        true => COMMENT_ADVICE.to_owned(),
        false => reason(error),
    }
}

/// What follows a word, without the white space between. None if another word is there.
pub(super) fn argument<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    let blank = |char| is_blank(char) || char == '\n';
    (rest.is_empty() || rest.starts_with(blank)).then(|| rest.trim_start_matches(blank))
}

/// Read a message that begins like JSON.
fn json(lines: &Lines<'_>, text: &str) -> Result<Json, ParseError> {
    serde_json::from_str(text).map_err(|error| {
        let byte = if error.is_eof() { text.len() } else { lines.byte(error.line(), error.column()) };
        let reason = reason(&error);
        let advice = advice(text, byte);
        lines.error_at(byte, format!("not JSON: {reason}; {advice}"))
    })
}

/// Advice for a text that is not JSON from this byte on.
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
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// Look at every placeholder, and make known what they capture.
fn check_placeholders(json: &Json, lines: &Lines<'_>, text: &str, scope: &mut Scope) -> Result<(), ParseError> {
    let mut captures = Vec::new();
    visit(json, &mut |string| {
        check_string(string, scope, &mut captures).map_err(|message| {
            // Escapes in it may hide where the string is written.
            let byte = serde_json::to_string(string).ok().and_then(|written| text.find(&written)).unwrap_or_default();
            lines.error_at(byte, message)
        })
    })?;
    captures.into_iter().for_each(|name| scope.capture(name));
    Ok(())
}

fn check_string(string: &str, scope: &Scope, captures: &mut Vec<String>) -> Result<(), String> {
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
