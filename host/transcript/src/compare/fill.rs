//! Texts in which `${NAME}` stands for what was captured.

use serde_json::Value as Json;

use super::Captures;
use crate::format::placeholder::{escape, substitute};

/// Put what was captured into a message, sent or expected.
///
/// In JSON, `"${NAME}"` is the captured value, of whatever kind it is, as it is in an expected message; in a
/// longer string it is the value's text, escaped as strings are.
///
/// # Errors
/// If nothing was captured under a name.
pub fn fill_message(text: &str, captures: &Captures) -> Result<String, String> {
    if !text.starts_with(['{', '[', '"']) {
        return fill(text, captures);
    }
    let whole = values(text, captures);
    substitute(&whole, |name| captures.get(name).map(|value| escaped(&plain(value))))
}

/// Put the text of each value that was captured into another text, as it is.
///
/// # Errors
/// If nothing was captured under a name.
pub fn fill(text: &str, captures: &Captures) -> Result<String, String> {
    substitute(text, |name| captures.get(name).map(plain))
}

/// Replace strings that are placeholders of values which are no strings.
fn values(text: &str, captures: &Captures) -> String {
    const BEGIN: &str = "\"${";
    const END: &str = "}\"";
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        result.push_str(before);
        rest = after;
        let found = after.split_once(END).and_then(|(name, tail)| Some((captures.get(name)?, tail)));
        match found.filter(|(value, tail)| !value.is_string() && is_value(before, tail)) {
            Some((value, tail)) => {
                // What was captured stands for itself.
                result.push_str(&escape(&value.to_string()));
                rest = tail;
            }
            None => result.push_str(BEGIN),
        }
    }
    result.push_str(rest);
    result
}

/// Whether the quotes are those of a string that is a value: neither an escaped one within a string, nor a key.
fn is_value(before: &str, after: &str) -> bool {
    !before.ends_with('\\') && !after.trim_start().starts_with(':')
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// As it stands in a string of JSON, without the quotes.
fn escaped(text: &str) -> String {
    let quoted = Json::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}
