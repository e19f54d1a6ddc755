//! What came, with those placeholders of what was expected that still match.

use serde_json::{Map, Value as Json};

use crate::backend::{Message, Rows};
use crate::compare::{Captures, cell_matches, equal, matches};
use crate::format::placeholder::{Placeholder, escape};
use crate::format::{Cell, Expected, Table};

/// The message that came, as it is to be expected from now on. A placeholder stays where it matches, and one
/// that captures stays in any case, with the kind of what came: later steps may use its name.
pub fn merge_message(expected: &Expected, got: &Message, captures: &mut Captures) -> Expected {
    let text = match got {
        Message::Binary(bytes) => return Expected::Binary(bytes.clone()),
        Message::Text(text) => text,
    };
    // What begins like JSON and is JSON is compared as JSON; a mere number or word is a text.
    let json = text.starts_with(['{', '[', '"']).then(|| serde_json::from_str(text).ok()).flatten();
    match (json, expected) {
        (Some(json), Expected::Json(expected)) => {
            let mut captured = Captures::new();
            let merged = value(expected, &json, captures, &mut captured);
            captures.extend(captured);
            Expected::Json(merged)
        }
        (Some(json), _) => Expected::Json(escaped(&json)),
        (None, _) => Expected::Text(escape(text)),
    }
}

/// The rows that came, as they are to be expected from now on. Cells that still match stay as they are.
pub fn merge_table(expected: &Table, got: &Rows, captures: &Captures) -> Table {
    let columns = got.columns.clone();
    // Another column has another meaning, and with it the patterns of its cells.
    let same_columns = columns == expected.columns;
    let cell = |row: usize, column: usize, value: &String| {
        let cell = expected.rows.get(row).and_then(|cells| cells.get(column));
        let kept = cell.filter(|cell| same_columns && cell_matches(cell, value, captures));
        kept.cloned().unwrap_or_else(|| Cell::Exact(value.clone()))
    };
    let row = |(row, values): (usize, &Vec<String>)| {
        values.iter().enumerate().map(|(column, value)| cell(row, column, value)).collect()
    };
    Table { columns, rows: got.rows.iter().enumerate().map(row).collect() }
}

fn value(expected: &Json, got: &Json, captures: &Captures, captured: &mut Captures) -> Json {
    match (expected, got) {
        (Json::Object(expected), Json::Object(got)) => {
            let member = |(key, got): (&String, &Json)| {
                let merged = match expected.get(key) {
                    Some(expected) => value(expected, got, captures, captured),
                    None => escaped(got),
                };
                (key.clone(), merged)
            };
            Json::Object(got.iter().map(member).collect::<Map<_, _>>())
        }
        (Json::Array(expected), Json::Array(got)) => {
            let expected = expected.iter().map(Some).chain(std::iter::repeat(None));
            let element = |(expected, got): (Option<&Json>, &Json)| match expected {
                Some(expected) => value(expected, got, captures, captured),
                None => escaped(got),
            };
            Json::Array(expected.zip(got).map(element).collect())
        }
        (Json::String(text), got) => string(text, got, captures, captured).unwrap_or_else(|| escaped(got)),
        (expected, got) if equal(expected, got) => expected.clone(),
        (_, got) => escaped(got),
    }
}

/// The placeholder that stays; none if it is not a placeholder, or does not match.
fn string(text: &str, got: &Json, captures: &Captures, captured: &mut Captures) -> Option<Json> {
    match Placeholder::parse(text).ok()?? {
        Placeholder::Kind(kind) => matches(&kind, got).then(|| Json::from(text)),
        Placeholder::Captured(name) => {
            captures.get(&name).is_some_and(|value| equal(value, got)).then(|| Json::from(text))
        }
        Placeholder::Capture(name, kind) => {
            let kept = match matches(&kind, got) {
                true => Json::from(text),
                false => Json::from(format!("${{{name}={}}}", kind_of(got))),
            };
            captured.insert(name, got.clone());
            Some(kept)
        }
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "any",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// With escapes where a string looks as if it had a placeholder.
fn escaped(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(escape(text)),
        Json::Array(values) => Json::Array(values.iter().map(escaped).collect()),
        Json::Object(members) => members.iter().map(|(key, value)| (key.clone(), escaped(value))).collect(),
        other => other.clone(),
    }
}
