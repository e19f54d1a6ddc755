//! The answer to a client that asks for a WebSocket.

use std::fmt;

use super::limits::Limits;
use super::state::Connection;
use crate::{Acceptance, Refusal, Request, TopicError};

/// Bytes of a topic's name.
pub(super) const MAX_TOPIC: usize = 256;

/// The answer to a request for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status: 101 if the connection was accepted; 500 if the handler failed, or gave an answer that no host
    /// can send.
    pub status: u16,
    /// The header fields, names in lower case. A real host adds those of the handshake to a 101.
    pub headers: Vec<(String, String)>,
    /// The body of a refusal.
    pub body: String,
}

impl Answer {
    /// The value of the header field with that name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// The answer to a client if the module gave one that no host can send.
    pub(super) fn broken() -> Self {
        Self { status: 500, headers: vec![plain_text()], body: "the application failed\n".to_owned() }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.body.trim_end())
    }
}

impl std::error::Error for Answer {}

/// The module's refusal, or what is wrong with it.
pub(super) fn refused(refusal: Refusal) -> Result<Answer, String> {
    if !(400..=599).contains(&refusal.status) {
        return Err(format!("the status {} of a refusal is not 400 to 599", refusal.status));
    }
    let mut headers = vec![plain_text()];
    for (name, value) in &refusal.headers {
        let (name, value) = header(name, value)?;
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
    Ok(Answer { status: refusal.status, headers, body: refusal.body })
}

/// Put the module's acceptance into effect, or say why that is not possible.
pub(super) fn accept(
    connection: &mut Connection,
    limits: &Limits,
    request: &Request,
    acceptance: Acceptance,
) -> Result<(), String> {
    let headers = acceptance.headers.iter().map(|(name, value)| header(name, value));
    let mut headers = headers.collect::<Result<Vec<_>, _>>()?;
    if let Some(subprotocol) = acceptance.subprotocol {
        if !request.subprotocols().contains(&subprotocol) {
            return Err(format!("the client did not offer the subprotocol `{subprotocol}`"));
        }
        if !is_value(&subprotocol) {
            return Err("the subprotocol is malformed".to_owned());
        }
        headers.push(("sec-websocket-protocol".to_owned(), subprotocol));
    }
    if acceptance.attachment.len() > limits.attachment_bytes {
        return Err(format!("the attachment is larger than `attachment_bytes` = {}", limits.attachment_bytes));
    }
    // What `on_open` itself has attached stays, unless the acceptance has an attachment.
    if !acceptance.attachment.is_empty() {
        connection.attachment = acceptance.attachment;
    }
    for topic in acceptance.topics {
        let subscribed = subscribe(connection, limits, &topic);
        subscribed.map_err(|error| format!("cannot subscribe to `{topic}`: {error}"))?;
    }
    connection.answer = Some(Answer { status: 101, headers, body: String::new() });
    Ok(())
}

/// Subscribe a connection. Subscribing again changes nothing.
pub(super) fn subscribe(connection: &mut Connection, limits: &Limits, topic: &str) -> Result<(), TopicError> {
    if topic.is_empty() || topic.len() > MAX_TOPIC {
        return Err(TopicError::InvalidTopic);
    }
    if connection.topics.contains(topic) {
        return Ok(());
    }
    if connection.topics.len() >= limits.topics_per_connection {
        return Err(TopicError::TooManyTopics);
    }
    connection.topics.insert(topic.to_owned());
    Ok(())
}

fn plain_text() -> (String, String) {
    ("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())
}

/// A header field that a module may set.
fn header(name: &str, value: &str) -> Result<(String, String), String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("`{name}` is not the name of a header field"));
    }
    let parsed = name.to_ascii_lowercase();
    let reserved = ["connection", "upgrade", "content-length", "transfer-encoding"].contains(&parsed.as_str());
    if reserved || parsed.starts_with("sec-websocket-") {
        return Err(format!("the header field `{name}` belongs to the host"));
    }
    if !is_value(value) {
        return Err(format!("the value of the header field `{name}` is malformed"));
    }
    Ok((parsed, value.to_owned()))
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}
