//! JSON against JSON with placeholders.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::{Captures, Mismatch, show};
use crate::format::placeholder::{Kind, Placeholder, substitute};

/// Compare; returns what the message captures.
///
/// # Errors
/// If it is something else.
pub(super) fn compare(expected: &Json, got: &Json, captures: &Captures) -> Result<Captures, Mismatch> {
    let mut comparison = Comparison { captures, captured: Captures::new(), place: None };
    let mut path = "$".to_owned();
    let resolved = comparison.value(expected, got, &mut path);
    match comparison.place {
        None => Ok(comparison.captured),
        Some(place) => Err(Mismatch { expected: show::pretty(&resolved), got: show::pretty(got), place: Some(place) }),
    }
}

/// Whether a value is of a kind.
pub(crate) fn matches(kind: &Kind, got: &Json) -> bool {
    match kind {
        Kind::Any => true,
        Kind::String => got.is_string(),
        Kind::Number => got.is_number(),
        Kind::Boolean => got.is_boolean(),
        Kind::Array => got.is_array(),
        Kind::Object => got.is_object(),
        Kind::Regex(regex) => got.as_str().is_some_and(|text| regex.0.is_match(text)),
    }
}

/// Whether two values are the same. `1` and `1.0` are: JSON knows only numbers.
pub(crate) fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || integer(a).is_some_and(|a| Some(a) == integer(b)),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// The whole number, if it is one.
fn integer(number: &serde_json::Number) -> Option<i128> {
    if let Some(integer) = number.as_i128() {
        return Some(integer);
    }
    // Beyond 2^126 the cast would saturate; floats as large as that are equal only to floats.
    number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 2_f64.powi(126)).map(|float| float as i128)
}

struct Comparison<'a> {
    captures: &'a Captures,
    captured: Captures,
    /// The first difference.
    place: Option<String>,
}

impl Comparison<'_> {
    /// Compare, and return what was expected with what came wherever it matches.
    fn value(&mut self, expected: &Json, got: &Json, path: &mut String) -> Json {
        match (expected, got) {
            (Json::Object(expected), Json::Object(got)) => Json::Object(self.object(expected, got, path)),
            (Json::Array(expected), Json::Array(got)) => Json::Array(self.array(expected, got, path)),
            (Json::String(expected), got) => self.string(expected, got, path),
            (expected, got) => self.same(equal(expected, got), got, path).unwrap_or_else(|| literal(expected)),
        }
    }

    fn object(
        &mut self,
        expected: &Map<String, Json>,
        got: &Map<String, Json>,
        path: &mut String,
    ) -> Map<String, Json> {
        let mut resolved = Map::new();
        let keys: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
        for key in keys {
            let length = path.len();
            path.push_str(&member(key));
            match (expected.get(key), got.get(key)) {
                (Some(expected), Some(got)) => {
                    resolved.insert(key.clone(), self.value(expected, got, path));
                }
                (Some(expected), None) => {
                    self.differs(path);
                    resolved.insert(key.clone(), literal(expected));
                }
                _ => self.differs(path),
            }
            path.truncate(length);
        }
        resolved
    }

    fn array(&mut self, expected: &[Json], got: &[Json], path: &mut String) -> Vec<Json> {
        let mut resolved = Vec::with_capacity(expected.len());
        for index in 0..expected.len().max(got.len()) {
            let length = path.len();
            path.push_str(&format!("[{index}]"));
            match (expected.get(index), got.get(index)) {
                (Some(expected), Some(got)) => resolved.push(self.value(expected, got, path)),
                (Some(expected), None) => {
                    self.differs(path);
                    resolved.push(literal(expected));
                }
                _ => self.differs(path),
            }
            path.truncate(length);
        }
        resolved
    }

    fn string(&mut self, expected: &str, got: &Json, path: &str) -> Json {
        let same = match Placeholder::parse(expected) {
            Ok(Some(Placeholder::Kind(kind))) => matches(&kind, got),
            Ok(Some(Placeholder::Capture(name, kind))) => {
                self.captured.insert(name, got.clone());
                matches(&kind, got)
            }
            Ok(Some(Placeholder::Captured(name))) => return self.captured(&name, expected, got, path),
            // The parser of transcripts has refused whatever is malformed.
            Ok(None) | Err(_) => got.as_str() == Some(&unescaped(expected)),
        };
        self.same(same, got, path).unwrap_or_else(|| Json::String(unescaped(expected)))
    }

    /// Shows the value that was captured, not its name: the value is what differs.
    fn captured(&mut self, name: &str, expected: &str, got: &Json, path: &str) -> Json {
        let value = self.captures.get(name);
        let same = value.is_some_and(|value| equal(value, got));
        let shown = value.cloned().unwrap_or_else(|| Json::String(expected.to_owned()));
        self.same(same, got, path).unwrap_or(shown)
    }

    /// What came if it is the same, otherwise the place is noted.
    fn same(&mut self, same: bool, got: &Json, path: &str) -> Option<Json> {
        if !same {
            self.differs(path);
        }
        same.then(|| got.clone())
    }

    fn differs(&mut self, path: &str) {
        self.place.get_or_insert_with(|| path.to_owned());
    }
}

/// Without the escapes of what would be a placeholder, so that it is shown as it would come.
fn literal(expected: &Json) -> Json {
    match expected {
        Json::String(text) => Json::String(unescaped(text)),
        Json::Array(values) => Json::Array(values.iter().map(literal).collect()),
        Json::Object(members) => members.iter().map(|(key, value)| (key.clone(), literal(value))).collect(),
        other => other.clone(),
    }
}

fn unescaped(text: &str) -> String {
    substitute(text, |_| None).unwrap_or_else(|_| text.to_owned())
}

fn member(key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    match plain {
        true => format!(".{key}"),
        false => format!("[{}]", Json::from(key)),
    }
}
