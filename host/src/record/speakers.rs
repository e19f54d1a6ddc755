//! Clients that speak `hassock.v1`: a recording has the headers of their messages apart from the payloads, and nothing of what is
//! different each time: heartbeats, and the first message.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hassock_frames::{Encoded, Payload};
use hassock_transcript::backend;
use hassock_transcript::spoken::Spoken;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use serde_json::Value as Json;

use super::event::Event;
use super::redact::Redaction;
use crate::app::recording::RawEvent;
use crate::client_protocol::{ClientState, offered};
use crate::module::bindings::hassock::host::types::{Message, Request};

/// The connections of a recording whose clients speak it.
#[derive(Default)]
pub(super) struct Speakers(HashSet<Arc<str>>);

impl Speakers {
    /// What happened, as it may be told: usually one event.
    pub(super) fn events(&mut self, event: RawEvent, redaction: &Redaction) -> Vec<Event> {
        match event {
            RawEvent::Connected { client, mut request, id, mut answer } => {
                let state = spoken_state(&mut request);
                if state.is_some() {
                    self.0.insert(Arc::clone(&client));
                    // It is what every client gets. The module's own choice is in the first message.
                    answer.remove(SEC_WEBSOCKET_PROTOCOL);
                }
                let mut event = redaction.event(RawEvent::Connected { client, request, id, answer });
                if let Event::Connected { since, .. } = &mut event {
                    *since = state.map(positions);
                }
                vec![event]
            }
            RawEvent::Sent { client, message } if self.0.contains(&client) => {
                said(&client, message, redaction).into_iter().collect()
            }
            RawEvent::Received { client, message } if self.0.contains(&client) => {
                heard(&client, &message, redaction).into_iter().collect()
            }
            RawEvent::Ended { client, close } => {
                // The session writes the last message with the close frame, where no recording sees it.
                let farewell = if self.0.remove(&client) { close.farewell() } else { None };
                let last = farewell.and_then(|message| heard(&client, &message, redaction));
                last.into_iter().chain([redaction.event(RawEvent::Ended { client, close })]).collect()
            }
            event => vec![redaction.event(event)],
        }
    }
}

/// What a client of the protocol offers, of which the request keeps only what is for the module.
fn spoken_state(request: &mut Request) -> Option<ClientState> {
    let offer = offered(request.subprotocols.clone()).ok()?;
    let state = offer.state?;
    request.headers.retain(|(name, _)| name != SEC_WEBSOCKET_PROTOCOL.as_str());
    if !offer.subprotocols.is_empty() {
        request.headers.push((SEC_WEBSOCKET_PROTOCOL.to_string(), offer.subprotocols.join(", ")));
    }
    Some(state)
}

fn positions(state: ClientState) -> BTreeMap<String, String> {
    state.since.into_iter().map(|(topic, position)| (topic, position.to_string())).collect()
}

/// A message of a client. None for a heartbeat, and for what is not a message of the protocol.
fn said(client: &str, message: Message, redaction: &Redaction) -> Option<Event> {
    let spoken = Spoken::read(match message {
        Message::Text(text) => backend::Message::Text(text),
        Message::Binary(bytes) => backend::Message::Binary(bytes),
    });
    let Spoken { header, payload } = spoken.ok().filter(is_told)?;
    let client = client.to_owned();
    let message = redaction.sent(match payload {
        backend::Message::Text(text) => Message::Text(text),
        backend::Message::Binary(bytes) => Message::Binary(bytes),
    });
    if header.is_empty() {
        return Some(Event::Sent { client, message });
    }
    let mut header = Json::Object(header);
    redaction.redact_json(&mut header);
    Some(Event::Said { client, header, message })
}

/// A message to a client. None for a heartbeat, and for the first message.
fn heard(client: &str, message: &Encoded, redaction: &Redaction) -> Option<Event> {
    let spoken = Spoken::read(match message.as_text() {
        Some(text) => backend::Message::Text(text.to_owned()),
        None => backend::Message::Binary(message.payload().into()),
    });
    let Spoken { header, payload } = spoken.ok().filter(is_told)?;
    let client = client.to_owned();
    let message = redaction.received(&match &payload {
        backend::Message::Text(text) => Encoded::messages(std::iter::once(Payload::text(text))),
        backend::Message::Binary(bytes) => Encoded::messages(std::iter::once(Payload::binary(bytes))),
    });
    if header.is_empty() {
        return Some(Event::Received { client, message });
    }
    let mut header = Json::Object(header);
    let redacted = redaction.redact_json(&mut header);
    Some(Event::Heard { client, header, redacted, message })
}

/// Neither heartbeats nor secrets: a token of the client, and what it can have its connection again with.
fn is_told(spoken: &Spoken) -> bool {
    !matches!(spoken.kind(), Some("heartbeat" | "connected" | "token"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::app::connection::Close;
    use crate::config::RecordConfig;
    use crate::record::{EndedBy, Received, Sent};

    fn redaction() -> Redaction {
        Redaction::new(&RecordConfig { redact_fields: vec!["pin".to_owned()], ..RecordConfig::default() })
    }

    fn connected(offered: &[&str]) -> RawEvent {
        let request = Request {
            path: "/chat".to_owned(),
            query: None,
            headers: vec![
                ("sec-websocket-protocol".to_owned(), offered.join(", ")),
                ("origin".to_owned(), "o".to_owned()),
            ],
            remote_address: "127.0.0.1:1".to_owned(),
            subprotocols: offered.iter().map(|name| (*name).to_owned()).collect(),
            secure: false,
            claims: None,
        };
        let mut answer = HeaderMap::new();
        answer.insert("sec-websocket-protocol", HeaderValue::from_static("hassock.v1"));
        RawEvent::Connected { client: "c1".into(), request: request.into(), id: 7, answer: answer.into() }
    }

    fn sent(message: Message) -> RawEvent {
        RawEvent::Sent { client: "c1".into(), message }
    }

    fn received(text: &str) -> RawEvent {
        RawEvent::Received { client: "c1".into(), message: Encoded::text(text) }
    }

    #[test]
    fn headers_are_told_apart_from_payloads_and_redacted_too() {
        let (mut speakers, redaction) = (Speakers::default(), redaction());
        let mut events = |event| speakers.events(event, &redaction);
        let client = || "c1".to_owned();
        // {"since":{"room:1":"1b2f4c-17"}}
        let state = "hassock.v1.eyJzaW5jZSI6eyJyb29tOjEiOiIxYjJmNGMtMTcifX0";
        let [Event::Connected { request, answer, since, .. }] = &events(connected(&["hassock.v1", state, "chat"]))[..]
        else {
            panic!("connected")
        };
        let kept = [("origin".to_owned(), "o".to_owned()), ("sec-websocket-protocol".to_owned(), "chat".to_owned())];
        assert_eq!((request.headers.as_slice(), answer.len()), (&kept[..], 0));
        assert_eq!(*since, Some(BTreeMap::from([("room:1".to_owned(), "1b2f4c-17".to_owned())])));

        assert_eq!(events(received("{\"type\":\"connected\",\"connection\":7,\"heartbeat\":1}\n")), []);
        for heartbeat in
            [received("{\"type\":\"heartbeat\"}\n"), sent(Message::Text("{\"type\":\"heartbeat\"}\n".to_owned()))]
        {
            assert_eq!(events(heartbeat), []);
        }
        let message = Sent::Text("{\"pin\":\"redacted\"}".to_owned());
        let plain = events(sent(Message::Text("\n{\"pin\":1}".to_owned())));
        assert_eq!(plain, [Event::Sent { client: client(), message: message.clone() }]);
        let asked = events(sent(Message::Text("{\"type\":\"request\",\"request\":1}\n{\"pin\":1}".to_owned())));
        let header = json!({ "type": "request", "request": 1 });
        assert_eq!(asked, [Event::Said { client: client(), header, message }]);
        let binary = events(sent(Message::Binary(vec![10, 255])));
        assert_eq!(binary, [Event::Sent { client: client(), message: Sent::Binary(vec![255]) }]);

        let plain = events(received("\nhi"));
        assert_eq!(plain, [Event::Received { client: client(), message: Received::Text("hi".to_owned()) }]);
        let told = events(received("{\"topic\":\"a\",\"position\":\"1b-7\"}\n{\"pin\":1}"));
        let message = Received::Json { value: json!({ "pin": "redacted" }), redacted: vec!["/pin".to_owned()] };
        let header = json!({ "topic": "a", "position": "1b-7" });
        assert_eq!(told, [Event::Heard { client: client(), header, redacted: Vec::new(), message }]);
        let told = events(received("{\"type\":\"presence\",\"members\":[{\"data\":\"{\\\"pin\\\":1}\"}]}\n"));
        let header = json!({ "type": "presence", "members": [{ "data": "redacted" }] });
        let (redacted, message) = (vec!["/members/0/data".to_owned()], Received::Text(String::new()));
        assert_eq!(told, [Event::Heard { client: client(), header, redacted, message }]);

        let ended = events(RawEvent::Ended { client: "c1".into(), close: Close::going_away() });
        let [Event::Heard { header, .. }, Event::Ended { by: EndedBy::Host, .. }] = &ended[..] else {
            panic!("{ended:?}")
        };
        assert_eq!(*header, json!({ "type": "closing", "reconnect": true, "after": 1000 }));
        // It has gone, and another one may have no headers.
        assert_eq!(
            events(received("\nhi")),
            [Event::Received { client: client(), message: Received::Text("\nhi".to_owned()) }]
        );
    }

    #[test]
    fn others_stay_as_they_are() {
        let (mut speakers, redaction) = (Speakers::default(), redaction());
        let [Event::Connected { request, since: None, .. }] = &speakers.events(connected(&["chat"]), &redaction)[..]
        else {
            panic!("connected")
        };
        assert_eq!(request.headers.len(), 2);
        let plain = speakers.events(sent(Message::Text("\nhi".to_owned())), &redaction);
        assert_eq!(plain, [Event::Sent { client: "c1".to_owned(), message: Sent::Text("\nhi".to_owned()) }]);
    }
}
