//! Texts that are expected: exactly, or by a regular expression.

use super::super::model::{Regex, TextPattern};
use super::super::names::is_blank;
use super::super::placeholder::regex_of;
use super::ParseError;
use super::cursor::{COMMENT_ADVICE, Cursor};
use super::json::reason;

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
pub(super) fn string(text: &str) -> Option<Result<String, String>> {
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
