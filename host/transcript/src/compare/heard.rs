//! A message of `hassock.v1` against what is expected.

use std::time::Duration;

use serde_json::Value as Json;

use super::{Captures, Mismatch, fill, json, message};
use crate::backend::Message;
use crate::format::placeholder::escape;
use crate::format::{Header, Heard, Reconnect, Recovery, heard as written};
use crate::spoken::Spoken;

/// Compare a message that has a header. What it captures is captured only if all of it matches.
///
/// # Errors
/// If it is another message.
pub fn heard(expected: &Heard, got: &Spoken, captures: &mut Captures) -> Result<(), Mismatch> {
    let mut captured = captures.clone();
    let same = header_of(got).is_some_and(|header| same_header(&expected.header, &header, &mut captured));
    if !same {
        return Err(Mismatch::new(written(&filled(expected, captures)), spoken(got)));
    }
    if let Some(body) = &expected.body {
        message(body, &body_of(got), &mut captured)?;
    }
    *captures = captured;
    Ok(())
}

/// The message as a transcript has it, in which every value is exact.
pub fn spoken(got: &Spoken) -> String {
    let shown = || super::show_message(&body_of(got));
    let (header, body) = match header_of(got) {
        Some(header) => (written(&Heard { header: header.clone(), body: None }), has_body(&header).then(shown)),
        None => {
            let is_empty = got.payload == Message::Text(String::new());
            (format!("({})", Json::Object(got.header.clone())), (!is_empty).then(shown))
        }
    };
    body.map_or(header.clone(), |body| format!("{header} {body}"))
}

/// The header that expects exactly this one. None if a transcript cannot expect it: of a kind that is not known, or with a
/// `request`, which is there only if it is not the oldest one that has no answer.
pub fn header_of(got: &Spoken) -> Option<Header> {
    let text = |field| got.text(field).map(escape);
    let topic = || text("topic");
    let position = || text("position");
    if got.header.contains_key("request") {
        return None;
    }
    Some(match got.kind() {
        None => Header::Published { topic: topic()?, position: position(), id: text("id") },
        Some("subscribed") => Header::Subscribed { topic: topic()?, position: position(), recovery: recovery(got)? },
        Some("unsubscribed") => Header::Unsubscribed { topic: topic()? },
        Some("gap") => Header::Gap { topic: topic()?, gap: text("gap")? },
        Some("position") => Header::Position { topic: topic()?, position: position() },
        Some("presence") => Header::Presence { topic: topic()? },
        Some("reply") => Header::Reply,
        Some("error") => Header::Error { code: text("code")? },
        Some("closing") => Header::Closing(reconnect(got)?),
        Some(_) => return None,
    })
}

/// What the body of a [`Heard`] stands for: the payload, or what a message of the host says besides.
pub fn body_of(got: &Spoken) -> Message {
    match got.kind() {
        Some("error") => Message::Text(got.text("message").unwrap_or_default().to_owned()),
        Some("presence") => {
            let fields = got.header.iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "topic"));
            let fields = fields.map(|(name, value)| (name.clone(), value.clone()));
            Message::Text(Json::Object(fields.collect()).to_string())
        }
        _ => got.payload.clone(),
    }
}

/// Whether something follows the header.
pub fn has_body(header: &Header) -> bool {
    matches!(header, Header::Published { .. } | Header::Reply | Header::Presence { .. } | Header::Error { .. })
}

/// Whether a position that is expected, if it matters, is this one. If so, it is captured.
pub fn same_position(expected: Option<&str>, got: Option<&str>, captures: &mut Captures) -> bool {
    let Some(expected) = expected else { return true };
    // A message without a position has none that could be any.
    let compared = got.map(|got| json::compare(&Json::from(expected), &Json::from(got), captures));
    match compared {
        Some(Ok(captured)) => {
            captures.extend(captured);
            true
        }
        _ => false,
    }
}

fn recovery(got: &Spoken) -> Option<Recovery> {
    let is = |field: &str| got.header.get(field).and_then(Json::as_bool);
    match (is("was_recovering")?, is("recovered")?, got.text("gap")) {
        (_, false, Some(gap)) => Some(Recovery::Gap(gap.to_owned())),
        (true, true, None) => Some(Recovery::Recovered),
        (false, false, None) => Some(Recovery::New),
        _ => None,
    }
}

fn reconnect(got: &Spoken) -> Option<Reconnect> {
    match got.header.get("reconnect")?.as_bool()? {
        false => Some(Reconnect::Never),
        true => Some(Reconnect::After(got.header.get("after").and_then(Json::as_u64).map(Duration::from_millis))),
    }
}

fn same_header(expected: &Header, got: &Header, captures: &mut Captures) -> bool {
    use Header::{Closing, Error, Gap, Position, Presence, Published, Reply, Subscribed, Unsubscribed};
    // Each side has escapes; only the expected one can have names.
    let same = |expected: &str, got: &str, captures: &Captures| fill(expected, captures) == fill(got, captures);
    let at = |expected: &Option<String>, got: &Option<String>, captures: &mut Captures| {
        same_position(expected.as_deref(), got.as_deref(), captures)
    };
    match (expected, got) {
        (Published { topic, position, id }, Published { topic: topic_got, position: position_got, id: id_got }) => {
            let same_id = id.as_ref().is_none_or(|id| id_got.as_ref().is_some_and(|got| same(id, got, captures)));
            same_id && same(topic, topic_got, captures) && at(position, position_got, captures)
        }
        (
            Subscribed { topic, position, recovery },
            Subscribed { topic: topic_got, position: position_got, recovery: recovery_got },
        ) => recovery == recovery_got && same(topic, topic_got, captures) && at(position, position_got, captures),
        (Position { topic, position }, Position { topic: topic_got, position: position_got }) => {
            same(topic, topic_got, captures) && at(position, position_got, captures)
        }
        (Gap { topic, gap }, Gap { topic: topic_got, gap: gap_got }) => {
            gap == gap_got && same(topic, topic_got, captures)
        }
        (Unsubscribed { topic }, Unsubscribed { topic: got }) | (Presence { topic }, Presence { topic: got }) => {
            same(topic, got, captures)
        }
        (Error { code }, Error { code: got }) => code == got,
        (Reply, Reply) => true,
        (Closing(Reconnect::After(None)), Closing(Reconnect::After(_))) => true,
        (Closing(expected), Closing(got)) => expected == got,
        _ => false,
    }
}

/// With what was captured in place of its name: the value is what differs.
fn filled(expected: &Heard, captures: &Captures) -> Heard {
    let known = |text: &str| fill(text, captures).map_or_else(|_| text.to_owned(), |text| escape(&text));
    let known_or_none = |text: &Option<String>| text.as_deref().map(known);
    let header = match &expected.header {
        Header::Published { topic, position, id } => {
            Header::Published { topic: known(topic), position: known_or_none(position), id: known_or_none(id) }
        }
        Header::Subscribed { topic, position, recovery } => {
            Header::Subscribed { topic: known(topic), position: known_or_none(position), recovery: recovery.clone() }
        }
        Header::Position { topic, position } => {
            Header::Position { topic: known(topic), position: known_or_none(position) }
        }
        Header::Gap { topic, gap } => Header::Gap { topic: known(topic), gap: gap.clone() },
        Header::Unsubscribed { topic } => Header::Unsubscribed { topic: known(topic) },
        Header::Presence { topic } => Header::Presence { topic: known(topic) },
        other => other.clone(),
    };
    Heard { header, body: expected.body.clone() }
}
