//! Redaction: what of a recording leaves the host.

use std::collections::BTreeSet;

use hassock_frames::Encoded;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use super::event::{EndedBy, Event, Received, RecordedRequest, Sent};
use crate::app::recording::RawEvent;
use crate::config::{AuthConfig, RecordConfig, SECRET_PARAMETERS, TokenPlace};
use crate::module::bindings::hassock::host::types::{ClosedBy, Message, Request};

/// Stands for a redacted value.
const REDACTED: &str = "redacted";

/// Header fields that each client makes for itself, besides those of the WebSocket handshake. They are not recorded.
const OWN_FIELDS: [&str; 4] = ["host", "connection", "upgrade", "content-length"];

/// How a subprotocol begins that is, or announces, a token. The third is that of Kubernetes.
const TOKENS: [&str; 8] =
    ["bearer", "token", "base64url.bearer", "access_token", "access-token", "auth", "jwt", "hassock.token."];

/// The length from which a subprotocol with a digit counts as a token. The longest registered name has 32 bytes and no digit.
const LEAST_TOKEN: usize = 32;

/// Header fields with credentials, which are always redacted.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// The names of what is redacted, in lower case: capital letters do not matter.
pub(super) struct Redaction {
    headers: BTreeSet<String>,
    /// Parameters of the query.
    parameters: BTreeSet<String>,
    /// Fields of JSON.
    fields: BTreeSet<String>,
}

impl Redaction {
    pub(super) fn new(config: &RecordConfig) -> Self {
        Self {
            headers: CREDENTIALS.iter().map(|name| (*name).to_owned()).chain(named(&config.redact_headers)).collect(),
            parameters: SECRET_PARAMETERS
                .iter()
                .map(|name| (*name).to_owned())
                .chain(named(&config.redact_fields))
                .collect(),
            fields: named(&config.redact_fields).collect(),
        }
    }

    /// The same, with the parameters in which an app expects tokens.
    pub(super) fn and_places(mut self, auth: Option<&AuthConfig>) -> Self {
        let places = auth.into_iter().flat_map(|auth| &auth.token_from);
        self.parameters.extend(places.filter_map(|place| match place {
            TokenPlace::Query(name) => Some(name.to_lowercase()),
            TokenPlace::Header | TokenPlace::Cookie(_) | TokenPlace::Subprotocol => None,
        }));
        self
    }

    fn redacts_field(&self, field: &str) -> bool {
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
                since: None,
            },
            RawEvent::Refused { client, request, status, body } => Event::Refused {
                client: client.to_string(),
                request: self.request(&request),
                status: status.as_u16(),
                body: self.text(String::from_utf8_lossy(&body).into_owned()),
            },
            RawEvent::Sent { client, message } => {
                Event::Sent { client: client.to_string(), message: self.sent(message) }
            }
            RawEvent::Received { client, message } => {
                Event::Received { client: client.to_string(), message: self.received(&message) }
            }
            RawEvent::Published { topic, id, message } => {
                Event::Published { topic: self.text(topic), id, message: self.sent(message) }
            }
            RawEvent::Fired => Event::Fired,
            RawEvent::Ended { client, close } => Event::Ended {
                client: client.to_string(),
                by: ended_by(close.by),
                code: close.code,
                reason: self.text(close.reason.to_string()),
            },
        }
    }

    /// A text with the values of secret fields redacted, if it is JSON.
    fn text(&self, text: String) -> String {
        self.redacted(&text).unwrap_or(text)
    }

    fn request(&self, request: &Request) -> RecordedRequest {
        let target = match &request.query {
            Some(query) => format!("{}?{}", request.path, self.query(query)),
            None => request.path.clone(),
        };
        let recorded = request.headers.iter().filter(|(name, _)| !is_own(name));
        let headers = recorded.map(|(name, value)| match self.headers.contains(name) {
            true => (name.clone(), REDACTED.to_owned()),
            false if name == "sec-websocket-protocol" => (name.clone(), subprotocols(value)),
            false => (name.clone(), value.clone()),
        });
        RecordedRequest { target, headers: headers.collect() }
    }

    fn query(&self, query: &str) -> String {
        let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
            Some((name, value))
                if self.parameters.contains(&decoded(name).to_lowercase()) || self.has_field(&decoded(value)) =>
            {
                format!("{name}={REDACTED}")
            }
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

    pub(super) fn sent(&self, message: Message) -> Sent {
        match message {
            Message::Text(text) => Sent::Text(self.redacted(&text).unwrap_or(text)),
            Message::Binary(data) => Sent::Binary(self.binary(data)),
        }
    }

    pub(super) fn received(&self, message: &Encoded) -> Received {
        let Some(text) = message.as_text() else { return Received::Binary(self.binary(message.payload().into())) };
        match serde_json::from_str(text) {
            Ok(mut value) => {
                let redacted = self.redact_json(&mut value);
                Received::Json { value, redacted }
            }
            Err(error) if self.may_hide_fields(text, &error) => {
                Received::Json { value: REDACTED.into(), redacted: vec![String::new()] }
            }
            Err(_) => Received::Text(text.to_owned()),
        }
    }

    /// Binary messages may be JSON too. An event cannot mark a redacted value in them, so a transcript of it has to be
    /// corrected by hand; but the secret stays in the host.
    fn binary(&self, data: Vec<u8>) -> Vec<u8> {
        let redacted = self.redacted(&String::from_utf8_lossy(&data));
        redacted.map_or(data, String::into_bytes)
    }

    /// A text without its secrets; none if it has none, so that it stays as it is, to the byte.
    fn redacted(&self, text: &str) -> Option<String> {
        if self.fields.is_empty() {
            return None;
        }
        match serde_json::from_str::<Json>(text) {
            Ok(mut json) => (!self.redact_json(&mut json).is_empty()).then(|| json.to_string()),
            Err(error) => self.may_hide_fields(text, &error).then(|| REDACTED.to_owned()),
        }
    }

    /// Whether a text that is not JSON may have a secret field. JSON that is too deep to be read may have any.
    fn may_hide_fields(&self, text: &str, error: &serde_json::Error) -> bool {
        !self.fields.is_empty() && (error.to_string().starts_with("recursion limit") || self.has_field(text))
    }

    /// Whether a text has a secret field in any notation, such as JSON behind a prefix, several JSON texts, JSON in a
    /// string, YAML or parameters: the name, and after it a colon or an equals sign. Each may be escaped.
    fn has_field(&self, text: &str) -> bool {
        let text = decoded(&unescaped(text)).to_lowercase();
        let is_field =
            |after: &str| after.trim_start_matches([' ', '\t', '"', '\'', '\\', ']']).starts_with([':', '=']);
        self.fields
            .iter()
            .any(|name| text.match_indices(name).any(|(at, _)| text.get(at + name.len()..).is_some_and(is_field)))
    }

    /// Replace the values of secret fields. Returns where they are, as JSON Pointers.
    pub(super) fn redact_json(&self, json: &mut Json) -> Vec<String> {
        let mut redacted = Vec::new();
        if !self.fields.is_empty() {
            self.redact_below(json, &mut String::new(), &mut redacted);
        }
        redacted
    }

    /// The same for a value at `pointer`. The reader of JSON bounds the depth.
    fn redact_below(&self, json: &mut Json, pointer: &mut String, redacted: &mut Vec<String>) {
        let length = pointer.len();
        match json {
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    self.redact_below(item, pointer, redacted);
                    pointer.truncate(length);
                }
            }
            Json::Object(fields) => {
                for (name, value) in fields {
                    pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                    if self.redacts_field(name) {
                        *value = REDACTED.into();
                        redacted.push(pointer.clone());
                    } else {
                        self.redact_below(value, pointer, redacted);
                    }
                    pointer.truncate(length);
                }
            }
            Json::String(text) if self.has_field(text) => {
                *json = REDACTED.into();
                redacted.push(pointer.clone());
            }
            _ => {}
        }
    }
}

fn is_own(name: &str) -> bool {
    OWN_FIELDS.contains(&name) || name.starts_with("sec-websocket-") && name != "sec-websocket-protocol"
}

/// The subprotocols of a request without those that look like tokens: a page can send a token in no other header field.
fn subprotocols(offered: &str) -> String {
    let offered = offered.split(',').map(str::trim);
    offered.map(|name| if is_token(name) { REDACTED } else { name }).collect::<Vec<_>>().join(", ")
}

/// Registered names are shorter and begin with no such word.
fn is_token(subprotocol: &str) -> bool {
    let name = subprotocol.to_ascii_lowercase();
    let begins_as_one = TOKENS.iter().any(|word| name.starts_with(word));
    begins_as_one || name.len() >= LEAST_TOKEN && name.bytes().any(|byte| byte.is_ascii_digit())
}

/// The text without the escapes of JSON for characters, such as `\u0070`.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\u") {
        plain.push_str(before);
        let code = after.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let character = code.and_then(char::from_u32);
        plain.extend(character);
        rest = if character.is_some() { after.get(4..).unwrap_or_default() } else { after };
    }
    plain.push_str(rest);
    plain
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
