//! `${NAME}` in texts: each must name what an earlier step has captured.

use super::super::placeholder::{LITERAL_ADVICE, kind_in_text, split, unescaped};
use super::ParseError;
use super::cursor::Cursor;
use super::scope::Scope;

/// What is wrong with the first wrong `${…}` of a text, and its byte.
pub(super) fn check(text: &str, scope: &Scope) -> Result<(), (usize, String)> {
    check_each(text, scope, |_| None)
}

/// The same for a text that is expected, where somebody may write a kind of values.
pub(super) fn check_expected(text: &str, scope: &Scope) -> Result<(), (usize, String)> {
    check_each(text, scope, kind_in_text)
}

/// The same for the rest of a line.
pub(super) fn check_rest(cursor: Cursor<'_>, scope: &Scope) -> Result<(), ParseError> {
    check(cursor.rest(), scope).map_err(|(byte, message)| cursor.after(byte).error(message))
}

fn check_each(text: &str, scope: &Scope, kind: impl Fn(&str) -> Option<String>) -> Result<(), (usize, String)> {
    let mut rest = text;
    loop {
        let start = text.len() - rest.len();
        let wrong = |message| (start + unescaped(rest).unwrap_or_default(), message);
        kind(rest).map_or(Ok(()), |message| Err(wrong(message)))?;
        let Some((_, name, after)) = split(rest).map_err(wrong)? else { return Ok(()) };
        scope.check_captured(name, LITERAL_ADVICE, &[]).map_err(wrong)?;
        rest = after;
    }
}
