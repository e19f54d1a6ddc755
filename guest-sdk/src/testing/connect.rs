//! The request of a client.

use serde::Serialize;

use crate::Request;

/// A client's request for a WebSocket. A path converts into a request, with a query if there is one:
/// `/chat?room=lobby`. A request has only the header fields that the test adds.
#[derive(Clone, Debug)]
#[must_use = "a request is sent with `MockHost::connect`"]
pub struct Connect(Request);

impl Connect {
    /// A request for a path, and a query if there is one: `/chat?room=lobby`.
    pub fn to(target: impl AsRef<str>) -> Self {
        let target = target.as_ref();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self(Request {
            path: path.to_owned(),
            query,
            headers: Vec::new(),
            remote_address: "127.0.0.1:50000".to_owned(),
            subprotocols: Vec::new(),
            secure: false,
            claims: None,
        })
    }

    /// Add a header field. The field for the subprotocols comes from [`subprotocol`](Self::subprotocol).
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Offer a subprotocol; the first one is preferred.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.0.subprotocols.push(subprotocol.into());
        self
    }

    /// Connect from this address and port instead of `127.0.0.1:50000`.
    pub fn remote_address(mut self, address: impl Into<String>) -> Self {
        self.0.remote_address = address.into();
        self
    }

    /// Connect through TLS.
    pub fn secure(mut self) -> Self {
        self.0.secure = true;
        self
    }

    /// Show a token with these claims, such as `json!({ "sub": "u7" })`. It counts as verified.
    ///
    /// # Panics
    /// If the claims cannot be written as JSON.
    pub fn claims(mut self, claims: &impl Serialize) -> Self {
        let claims = serde_json::to_string(claims);
        self.0.claims = Some(claims.unwrap_or_else(|error| panic!("the claims are not JSON: {error}")));
        self
    }

    pub(super) fn into_request(mut self) -> Request {
        if !self.0.subprotocols.is_empty() {
            self.0.headers.push(("sec-websocket-protocol".to_owned(), self.0.subprotocols.join(", ")));
        }
        self.0
    }
}

impl<T: AsRef<str>> From<T> for Connect {
    fn from(target: T) -> Self {
        Self::to(target)
    }
}
