//! The two answers to a request for a WebSocket.

use serde::Serialize;

use crate::bindings::hassock::host::types;
use crate::{Error, Result};

/// The answer of a module that takes a connection.
///
/// ```
/// # fn main() -> hassock_guest::Result<()> {
/// use hassock_guest::Acceptance;
///
/// let answer = Acceptance::new().topic("news").attachment(&"alice")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Acceptance(types::Acceptance);

impl Acceptance {
    /// Take the connection: no topics, nothing attached.
    pub fn new() -> Self {
        Self(types::Acceptance { subprotocol: None, headers: Vec::new(), topics: Vec::new(), attachment: Vec::new() })
    }

    /// Subscribe the connection to a topic from its first moment.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.0.topics.push(topic.into());
        self
    }

    /// Keep `value` with the connection as JSON, see [`Connection::attachment`](crate::Connection::attachment).
    ///
    /// # Errors
    /// [`Error::Json`] if the value cannot be written as JSON.
    pub fn attachment(self, value: &impl Serialize) -> Result<Self> {
        Ok(self.attachment_bytes(serde_json::to_vec(value)?))
    }

    /// Keep these bytes with the connection.
    pub fn attachment_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.attachment = bytes.into();
        self
    }

    /// Choose one of the [subprotocols that the client offers](crate::Request::subprotocols). Any other is an
    /// error of the module: the client gets 500.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.0.subprotocol = Some(subprotocol.into());
        self
    }

    /// Add a header field to the 101 answer. The fields of the WebSocket handshake belong to the host; to
    /// set one is an error, and the client gets 500.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn into_raw(self) -> types::Acceptance {
        self.0
    }
}

impl Default for Acceptance {
    fn default() -> Self {
        Self::new()
    }
}

/// The answer of a module that does not take a connection.
///
/// Whatever converts into an [`Error`] also converts into a refusal with `?`: the client gets a bare 500,
/// and the text of the error goes into the host's log.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    answer: types::Refusal,
    cause: Option<String>,
}

impl Refusal {
    /// Answer with this HTTP status, 400 to 599, and this body, sent as `text/plain` unless a
    /// `content-type` is set. Any other status is an error of the module: the client gets 500.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { answer: types::Refusal { status, headers: Vec::new(), body: body.into() }, cause: None }
    }

    /// Add a header field to the answer.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.answer.headers.push((name.into(), value.into()));
        self
    }

    /// The answer, and the text for the log if an error made it.
    pub(crate) fn into_raw(self) -> (types::Refusal, Option<String>) {
        (self.answer, self.cause)
    }
}

impl<E> From<E> for Refusal
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        let cause = Some(Error::from(error).to_string());
        Self { cause, ..Self::new(500, "Internal Server Error") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_refusal_that_does_not_tell() {
        fn open() -> Result<Acceptance, Refusal> {
            Err("the table is missing")?
        }
        let (answer, cause) = open().err().map(Refusal::into_raw).unzip();
        assert_eq!(answer.map(|answer| (answer.status, answer.body)), Some((500, "Internal Server Error".into())));
        assert_eq!(cause.flatten().as_deref(), Some("the table is missing"));
    }
}
