//! What came with a header, with what still matches of what was expected.

use serde_json::Value as Json;

use super::merge_message;
use crate::compare::{Captures, body_of, has_body, header_of, same_position};
use crate::format::placeholder::{Kind, Placeholder};
use crate::format::{Expected, Header, Heard, Reconnect};
use crate::spoken::Spoken;

/// The message that came, as it is to be expected from now on. None if a transcript cannot expect it.
///
/// Positions are others each time, so one that was not expected does not matter, and neither does one that is another than
/// expected, unless it is captured: later steps may use its name.
pub fn merge_heard(expected: Option<&Heard>, got: &Spoken, captures: &mut Captures) -> Option<Heard> {
    let header = header_of(got)?;
    let before = expected.map(|expected| &expected.header);
    let header = match header {
        Header::Published { topic, position, id } => {
            let was = before.and_then(|before| match before {
                Header::Published { position, id, .. } => Some((position.as_deref(), id.is_some())),
                _ => None,
            });
            let id = id.filter(|_| was.is_none_or(|(_, has_id)| has_id));
            Header::Published { topic, position: kept(was.and_then(|(at, _)| at), position.as_deref(), captures), id }
        }
        Header::Subscribed { topic, position, recovery } => {
            let was = before.and_then(|before| match before {
                Header::Subscribed { position, .. } => position.as_deref(),
                _ => None,
            });
            Header::Subscribed { topic, position: kept(was, position.as_deref(), captures), recovery }
        }
        Header::Position { topic, position } => {
            let was = before.and_then(|before| match before {
                Header::Position { position, .. } => position.as_deref(),
                _ => None,
            });
            Header::Position { topic, position: kept(was, position.as_deref(), captures) }
        }
        Header::Closing(Reconnect::After(_)) if before == Some(&Header::Closing(Reconnect::After(None))) => {
            Header::Closing(Reconnect::After(None))
        }
        other => other,
    };
    let nothing = Expected::Text(String::new());
    let body_before = expected.and_then(|expected| expected.body.as_ref());
    let matters = body_before.is_some()
        || expected.is_none()
        || !matches!(header, Header::Presence { .. } | Header::Error { .. });
    let body =
        (has_body(&header) && matters).then(|| merge_message(body_before.unwrap_or(&nothing), &body_of(got), captures));
    Some(Heard { header, body })
}

/// The position that is expected from now on.
pub fn kept(expected: Option<&str>, got: Option<&str>, captures: &mut Captures) -> Option<String> {
    let expected = expected?;
    if same_position(Some(expected), got, captures) {
        return Some(expected.to_owned());
    }
    match (Placeholder::parse(expected).ok()??, got) {
        (Placeholder::Capture(name, Kind::Any | Kind::String), Some(got)) => {
            captures.insert(name, Json::from(got));
            Some(expected.to_owned())
        }
        _ => None,
    }
}
