//! Messages with headers as steps. Positions become placeholders: they are different each time.

use std::collections::BTreeMap;

use hassock_transcript::compare::{body_of, header_of};
use hassock_transcript::format::placeholder::escape;
use hassock_transcript::format::{Action, Expected, Header, Heard, Said, Start};
use hassock_transcript::{backend, spoken::Spoken};
use serde_json::Value as Json;

use super::script::{expected, payload};
use crate::record::{Received, Sent};

/// The positions that the transcript has captured: the number of each, by its topic and how it was written.
#[derive(Debug, Default)]
pub(super) struct Positions(BTreeMap<(String, String), usize>);

impl Positions {
    /// As it is expected: captured if it is new.
    fn expected(&mut self, topic: &str, position: &str) -> String {
        let next = self.0.len() + 1;
        let known = self.0.entry((topic.to_owned(), position.to_owned())).or_insert(next);
        match *known == next {
            true => format!("${{p{next}=string}}"),
            false => format!("${{p{known}}}"),
        }
    }

    /// As a client says it. One from before the recording stands for itself.
    pub(super) fn said(&self, topic: &str, position: &str) -> String {
        let known = self.0.get(&(topic.to_owned(), position.to_owned()));
        known.map_or_else(|| position.to_owned(), |number| format!("${{p{number}}}"))
    }
}

/// The step for what a client asks the host for; none if a transcript does not have it.
pub(super) fn said(client: String, header: &Json, message: Sent, positions: &Positions) -> Option<Action> {
    let text = |field: &str| header.get(field).and_then(Json::as_str);
    let said = match text("type")? {
        "subscribe" => {
            let topic = text("topic")?;
            let last = header.get("last").and_then(Json::as_u64);
            let start = match (text("since"), last) {
                (Some(position), _) => Start::Since(positions.said(topic, position)),
                (None, Some(count)) => Start::Last(count),
                (None, None) => Start::Now,
            };
            Said::Subscribe { topic: escape(topic), start }
        }
        "unsubscribe" => Said::Unsubscribe { topic: escape(text("topic")?) },
        "request" => Said::Request(payload(message)),
        _ => return None,
    };
    Some(Action::Say { client, said })
}

/// The step for what a client hears; none if a transcript does not have it.
pub(super) fn heard(
    client: String,
    header: Json,
    redacted: Vec<String>,
    message: Received,
    positions: &mut Positions,
) -> Option<Action> {
    let Json::Object(mut fields) = header else { return None };
    // A transcript numbers requests by itself.
    fields.remove("request");
    let topic = fields.get("topic").and_then(Json::as_str).unwrap_or_default().to_owned();
    let spoken = Spoken { header: fields, payload: backend::Message::Text(String::new()) };
    let mut header = header_of(&spoken)?;
    if let Header::Published { position, .. }
    | Header::Subscribed { position, .. }
    | Header::Position { position, .. } = &mut header
    {
        *position = position.take().map(|position| positions.expected(&topic, &position));
    }
    let body = match header {
        Header::Published { .. } | Header::Reply => Some(expected(message)),
        Header::Presence { .. } => {
            let told = match body_of(&spoken) {
                backend::Message::Text(text) => serde_json::from_str(&text).ok()?,
                backend::Message::Binary(_) => return None,
            };
            Some(expected(Received::Json { value: told, redacted }))
        }
        Header::Error { .. } if redacted.is_empty() => spoken.text("message").map(|text| Expected::Text(escape(text))),
        _ => None,
    };
    Some(Action::Hear { client, heard: Heard { header, body } })
}
