//! What leaves the host of a recording, and in which form: secrets left out, `${` escaped.

use std::collections::BTreeSet;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value as Json;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::event::{Asked, EndedBy, Event, Received, Sent};
use crate::app::recording::RawEvent;
use crate::config::RecordConfig;
use crate::module::bindings::hassock::host::types::{ClosedBy, Message, Request};
use crate::transcript::format::placeholder::escape;

/// What stands for a value that is sent and was left out.
const REDACTED: &str = "redacted";

/// What stands for a value that is expected and was left out: transcripts let it be anything.
const ANY: &str = "${any}";

/// Header fields that every client of a transcript makes for itself, beside those of the handshake.
const OWN_FIELDS: [&str; 4] = ["host", "connection", "upgrade", "content-length"];

/// Header fields that carry credentials: left out in any case.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// What to leave out, in lower case: who names a secret does not want it shown for how it is written.
pub(super) struct Redaction {
    headers: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Redaction {
    pub(super) fn new(config: &RecordConfig) -> Self {
        Self {
            headers: CREDENTIALS.iter().map(|name| (*name).to_owned()).chain(named(&config.redact_headers)).collect(),
            fields: named(&config.redact_fields).collect(),
        }
    }

    fn leaves_out(&self, field: &str) -> bool {
        !self.fields.is_empty() && self.fields.contains(&field.to_lowercase())
    }

    /// What happened, as it may be told.
    pub(super) fn event(&self, event: RawEvent) -> Event {
        match event {
            RawEvent::Connected { client, request, id, answer } => Event::Connected {
                client: client.to_string(),
                request: self.request(&request),
                id,
                answer: self.answer(&answer),
            },
            RawEvent::Refused { client, request, status, body } => Event::Refused {
                client: client.to_string(),
                request: self.request(&request),
                status: status.as_u16(),
                body: String::from_utf8_lossy(&body).into_owned(),
            },
            RawEvent::Sent { client, message } => {
                Event::Sent { client: client.to_string(), message: self.sent(message) }
            }
            RawEvent::Received { client, frame } => {
                Event::Received { client: client.to_string(), message: self.received(&frame) }
            }
            RawEvent::Fired => Event::Fired,
            RawEvent::Ended { client, close } => Event::Ended {
                client: client.to_string(),
                by: ended_by(close.by),
                code: close.code,
                reason: close.reason.to_string(),
            },
        }
    }

    fn request(&self, request: &Request) -> Asked {
        let target = match &request.query {
            Some(query) => format!("{}?{}", request.path, self.query(query)),
            None => request.path.clone(),
        };
        let recorded = request.headers.iter().filter(|(name, _)| !is_own(name));
        let headers = recorded.map(|(name, value)| match self.headers.contains(name) {
            true => (name.clone(), REDACTED.to_owned()),
            false => (name.clone(), escape(value)),
        });
        Asked { target: escape(&target), headers: headers.collect() }
    }

    fn query(&self, query: &str) -> String {
        let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if self.leaves_out(&decoded(name)) => format!("{name}={REDACTED}"),
            _ => parameter.to_owned(),
        });
        parameters.collect::<Vec<_>>().join("&")
    }

    fn answer(&self, headers: &HeaderMap) -> Vec<(String, Option<String>)> {
        let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let told = headers.iter().map(|(name, content)| match self.headers.contains(name.as_str()) {
            true => (name.to_string(), None),
            false => (name.to_string(), Some(value(content))),
        });
        told.collect()
    }

    fn sent(&self, message: Message) -> Sent {
        match message {
            Message::Text(text) => Sent::Text(escape(&self.redacted(&text).unwrap_or(text))),
            Message::Binary(data) => Sent::Binary(self.binary(data)),
        }
    }

    fn received(&self, frame: &Frame) -> Received {
        let Frame::Text(text) = frame else { return Received::Binary(self.binary(frame.clone().into_data().into())) };
        match serde_json::from_str(text) {
            Ok(json) => Received::Json(self.expected(json)),
            Err(error) if self.is_beyond_us(&error) => Received::Json(ANY.into()),
            Err(_) => Received::Text(escape(text)),
        }
    }

    /// Binary messages may be JSON too. Nothing in hex can stand for anything, so what is left out there makes a
    /// transcript that has to be mended by hand; but the secret stays here.
    fn binary(&self, data: Vec<u8>) -> Vec<u8> {
        let text = std::str::from_utf8(&data).ok();
        text.and_then(|text| self.redacted(text)).map_or(data, String::into_bytes)
    }

    /// A text that was sent, if something of it is left out. Otherwise it stays as it is, to the byte.
    fn redacted(&self, text: &str) -> Option<String> {
        if self.fields.is_empty() {
            return None;
        }
        match serde_json::from_str::<Json>(text) {
            Ok(mut json) => self.leave_out(&mut json, REDACTED).then(|| json.to_string()),
            Err(error) => self.is_beyond_us(&error).then(|| REDACTED.to_owned()),
        }
    }

    /// JSON so deep that it is not read may hold anything.
    fn is_beyond_us(&self, error: &serde_json::Error) -> bool {
        !self.fields.is_empty() && error.to_string().starts_with("recursion limit")
    }

    /// Whether there was something to leave out. Depth is bounded by that of the reader of JSON.
    fn leave_out(&self, json: &mut Json, instead: &str) -> bool {
        let mut found = false;
        match json {
            Json::Array(items) => {
                for item in items {
                    found |= self.leave_out(item, instead);
                }
            }
            Json::Object(fields) => {
                for (name, value) in fields {
                    if self.leaves_out(name) {
                        *value = instead.into();
                        found = true;
                    } else {
                        found |= self.leave_out(value, instead);
                    }
                }
            }
            _ => {}
        }
        found
    }

    /// JSON that is expected: other strings may hold `${`, and mean it.
    fn expected(&self, mut json: Json) -> Json {
        escape_all(&mut json);
        self.leave_out(&mut json, ANY);
        json
    }
}

fn escape_all(json: &mut Json) {
    match json {
        Json::String(text) => *text = escape(text),
        Json::Array(items) => items.iter_mut().for_each(escape_all),
        Json::Object(fields) => fields.values_mut().for_each(escape_all),
        _ => {}
    }
}

fn is_own(name: &str) -> bool {
    OWN_FIELDS.contains(&name) || name.starts_with("sec-websocket-") && name != "sec-websocket-protocol"
}

fn decoded(name: &str) -> String {
    percent_decode_str(&name.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn named(names: &[String]) -> impl Iterator<Item = String> {
    names.iter().map(|name| name.to_lowercase())
}

fn ended_by(by: ClosedBy) -> EndedBy {
    match by {
        ClosedBy::Client => EndedBy::Client,
        ClosedBy::Module => EndedBy::Module,
        ClosedBy::Host => EndedBy::Host,
        ClosedBy::Transport => EndedBy::Transport,
    }
}
