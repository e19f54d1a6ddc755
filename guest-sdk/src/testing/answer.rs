//! What a client gets for its request: a connection or a refusal.

use std::fmt;

use super::limits::Limits;
use super::state::Connection;
use crate::bindings::hassock::host::types::{self, Acceptance, Refusal};

/// Bytes of a topic's name.
const MAX_TOPIC: usize = 256;

/// What the 101 answer told a client beside the handshake itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol that the module has chosen.
    pub subprotocol: Option<String>,
    /// The header fields that the module has added, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// The HTTP answer to a client that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Refused {
    /// The HTTP status: the module's, or 500 if it failed or gave an answer that can not be.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The header fields, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The header field of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// The answer of a module that gave one that can not be.
    pub(super) fn broken() -> Self {
        Self { status: 500, headers: vec![plain_text()], body: "the application failed\n".to_owned() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {}: {}", self.status, self.body)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for crate::Error {
    fn from(refused: Refused) -> Self {
        Self::other(refused)
    }
}

/// The module's refusal, or why it is none.
pub(super) fn refused(refusal: Refusal) -> Result<Refused, String> {
    if !(400..=599).contains(&refusal.status) {
        return Err(format!("the status {} of a refusal is not 400 to 599", refusal.status));
    }
    let mut headers = vec![plain_text()];
    for (name, value) in &refusal.headers {
        let (name, value) = header(name, value)?;
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
    Ok(Refused { status: refusal.status, headers, body: refusal.body })
}

/// Put the module's acceptance into effect, or say why that can not be.
pub(super) fn accept(
    connection: &mut Connection,
    limits: &Limits,
    request: &types::Request,
    acceptance: Acceptance,
) -> Result<(), String> {
    let headers = acceptance.headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
    if let Some(subprotocol) = &acceptance.subprotocol {
        if !request.subprotocols.contains(subprotocol) {
            return Err(format!("the client did not offer the subprotocol `{subprotocol}`"));
        }
        if !is_value(subprotocol) {
            return Err("the subprotocol is malformed".to_owned());
        }
    }
    if acceptance.attachment.len() > limits.attachment_bytes {
        return Err(format!("the attachment is larger than `attachment_bytes` = {}", limits.attachment_bytes));
    }
    // What `open` has attached itself stays, unless the acceptance has something.
    if !acceptance.attachment.is_empty() {
        connection.attachment = acceptance.attachment;
    }
    for topic in acceptance.topics {
        let subscribed = subscribe(connection, limits, &topic);
        subscribed.map_err(|error| format!("cannot subscribe to `{topic}`: {}", crate::Error::from(error)))?;
    }
    connection.accepted = Accepted { subprotocol: acceptance.subprotocol, headers };
    Ok(())
}

/// Subscribe a connection; again changes nothing.
pub(super) fn subscribe(connection: &mut Connection, limits: &Limits, topic: &str) -> Result<(), crate::topics::Error> {
    if topic.is_empty() || topic.len() > MAX_TOPIC {
        return Err(crate::topics::Error::InvalidTopic);
    }
    if connection.topics.contains(topic) {
        return Ok(());
    }
    if connection.topics.len() >= limits.topics_per_connection {
        return Err(crate::topics::Error::TooManyTopics);
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
        return Err(format!("`{name}` is no name of a header field"));
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
