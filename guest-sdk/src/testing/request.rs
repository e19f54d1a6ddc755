//! The request of a client.

use crate::bindings::hassock::host::types;

/// A client's request for a WebSocket, made by [`TestHost::request`](super::TestHost::request) or of a path.
/// It has only the header fields that it is given.
#[derive(Clone, Debug)]
#[must_use = "a request is sent with `TestHost::connect`"]
pub struct Connect(types::Request);

impl Connect {
    pub(super) fn new(target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self(types::Request {
            path: path.to_owned(),
            query,
            headers: Vec::new(),
            remote_address: "127.0.0.1:50000".to_owned(),
            subprotocols: Vec::new(),
            secure: false,
        })
    }

    /// Add a header field. That of the subprotocols comes from [`subprotocol`](Self::subprotocol).
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Offer a subprotocol; the first one is preferred.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.0.subprotocols.push(subprotocol.into());
        self
    }

    /// Come from this address and port instead of `127.0.0.1:50000`.
    pub fn remote_address(mut self, address: impl Into<String>) -> Self {
        self.0.remote_address = address.into();
        self
    }

    /// Come through TLS.
    pub fn secure(mut self) -> Self {
        self.0.secure = true;
        self
    }

    pub(super) fn into_raw(mut self) -> types::Request {
        if !self.0.subprotocols.is_empty() {
            self.0.headers.push(("sec-websocket-protocol".to_owned(), self.0.subprotocols.join(", ")));
        }
        self.0
    }
}

impl From<&str> for Connect {
    fn from(target: &str) -> Self {
        Self::new(target)
    }
}

impl From<String> for Connect {
    fn from(target: String) -> Self {
        Self::new(&target)
    }
}

impl From<&String> for Connect {
    fn from(target: &String) -> Self {
        Self::new(target)
    }
}
