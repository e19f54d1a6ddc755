//! Whether what came is what was expected, and if not, where it begins to differ.

mod fill;
mod heard;
mod json;
mod show;
mod table;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::backend::Message;
use crate::format::{Expected, TextPattern};

pub use fill::{fill, fill_message};
pub use heard::{body_of, has_body, header_of, heard, same_position, spoken};
pub(super) use json::{equal, matches};
pub use show::{message as show_message, written};
pub use table::{cell_matches, table, text_cell};

#[cfg(test)]
mod tests;

/// What was captured so far: `${NAME=KIND}` captures, `${NAME}` is what was captured.
pub type Captures = BTreeMap<String, Json>;

/// Something else came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was expected, as a person reads it. Of JSON and tables, several lines, in which placeholders that
    /// match are shown as what came: only what differs is different.
    pub expected: String,
    /// What came, in the same way.
    pub got: String,
    /// Where the first difference is in JSON: `$.from[0]`.
    pub place: Option<String>,
}

impl Mismatch {
    /// Two texts that differ.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into(), place: None }
    }
}

/// Compare a message. What it captures is captured only if all of it matches. A [file](Expected::File) is to be
/// read before: it matches nothing.
///
/// # Errors
/// If it is another message.
pub fn message(expected: &Expected, got: &Message, captures: &mut Captures) -> Result<(), Mismatch> {
    let equal = match (expected, got) {
        (Expected::Json(expected), Message::Text(text)) => return json_text(expected, text, captures),
        (Expected::Text(expected), got) => return plain_text(expected, got, captures),
        (Expected::Regex(regex), Message::Text(text)) => regex.0.is_match(text),
        (Expected::Binary(expected), Message::Binary(bytes)) => expected == bytes,
        _ => false,
    };
    match equal {
        true => Ok(()),
        false => Err(Mismatch::new(written(expected), show_message(got))),
    }
}

/// Compare a text.
///
/// # Errors
/// If it is another text.
pub fn text(pattern: &TextPattern, got: &str) -> Result<(), Mismatch> {
    let equal = match pattern {
        TextPattern::Exact(expected) => expected == got,
        TextPattern::Regex(regex) => regex.0.is_match(got),
    };
    match equal {
        true => Ok(()),
        false => Err(Mismatch::new(show::pattern(pattern), show::text(got))),
    }
}

/// Shows what was captured, not its name: the value is what differs.
fn plain_text(expected: &str, got: &Message, captures: &Captures) -> Result<(), Mismatch> {
    // The parser of transcripts has refused names that nothing is captured under.
    let filled = fill_message(expected, captures).unwrap_or_else(|_| expected.to_owned());
    match got {
        Message::Text(text) if *text == filled => Ok(()),
        _ => Err(Mismatch::new(show::text(&filled), show_message(got))),
    }
}

fn json_text(expected: &Json, text: &str, captures: &mut Captures) -> Result<(), Mismatch> {
    let Ok(got) = serde_json::from_str(text) else {
        return Err(Mismatch::new(show::json(expected), show::text(text)));
    };
    let captured = json::compare(expected, &got, captures)?;
    captures.extend(captured);
    Ok(())
}
