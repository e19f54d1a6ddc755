//! The two answers to a request for a WebSocket.

use serde::Serialize;

use crate::{Error, Result};

/// The answer of a module that accepts a connection.
///
/// ```
/// # fn main() -> hassock_sdk::Result<()> {
/// use hassock_sdk::Acceptance;
///
/// let answer = Acceptance::new().topic("news").attachment(&"alice")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Acceptance {
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) topics: Vec<String>,
    pub(crate) attachment: Vec<u8>,
}

impl Acceptance {
    /// Accept the connection, without topics and without an attachment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Subscribe the connection to a topic from the start. To read a snapshot without a gap, subscribe earlier; see
    /// [`topics`](crate::topics#a-snapshot-without-a-gap).
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Keep `value` with the connection as JSON, see [`Connection::attachment`](crate::Connection::attachment).
    ///
    /// # Errors
    /// A [`serde_json::Error`] if the value cannot be written as JSON.
    pub fn attachment(self, value: &impl Serialize) -> Result<Self> {
        Ok(self.attachment_bytes(serde_json::to_vec(value)?))
    }

    /// Keep these bytes with the connection, at most the app's `attachment_bytes`. More bytes are an error of the
    /// module: the client gets 500.
    pub fn attachment_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.attachment = bytes.into();
        self
    }

    /// Choose one of the [subprotocols that the client offers](crate::Request::subprotocols). Any other subprotocol is
    /// an error of the module: the client gets 500.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Add a header field to the 101 answer. The fields of the WebSocket handshake belong to the host; setting one is
    /// an error, and the client gets 500.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// The answer of a module that does not accept a connection.
///
/// Every error that converts into an [`Error`] also converts into a refusal with `?`: the client gets a 500 without
/// details, and the text of the error goes into the host's log.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The text for the log, if an error became a refusal.
    pub(crate) cause: Option<String>,
}

impl Refusal {
    /// Answer with this HTTP status, 400 to 599, and this body, sent as `text/plain` unless a
    /// `content-type` is set. Any other status is an error of the module: the client gets 500.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cause: None }
    }

    /// Add a header field to the answer.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl<E> From<E> for Refusal
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        let cause = Some(format!("{:#}", Error::from(error)));
        Self { cause, ..Self::new(500, "Internal Server Error") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_refusal_that_does_not_tell() {
        fn open() -> Result<Acceptance, Refusal> {
            Err(Error::msg("no such file").context("the table is missing"))?
        }
        let refusal = open().err();
        let answer = refusal.as_ref().map(|refusal| (refusal.status, refusal.body.as_str()));
        assert_eq!(answer, Some((500, "Internal Server Error")));
        let cause = refusal.and_then(|refusal| refusal.cause);
        assert_eq!(cause.as_deref(), Some("the table is missing: no such file"));
    }
}
