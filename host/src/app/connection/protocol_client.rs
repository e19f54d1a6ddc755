//! A client that speaks the client protocol, `hassock.v1`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use parking_lot::Mutex;

use super::resumption::Resumption;
use crate::client_protocol::{ClientState, Position};

/// What the host knows of such a client.
#[derive(Debug, Default)]
pub(crate) struct ProtocolClient {
    /// The positions up to which it has messages, until it is subscribed again.
    since: Mutex<BTreeMap<String, Position>>,
    /// The subprotocol that the module chose.
    subprotocol: OnceLock<String>,
    /// It has asked for a connection that it had before.
    has_asked: bool,
    /// If it may have this connection again.
    pub(super) resumption: Option<Resumption>,
}

impl ProtocolClient {
    pub(super) fn new(state: ClientState) -> Self {
        Self {
            since: Mutex::new(state.since),
            subprotocol: OnceLock::new(),
            has_asked: state.resume.is_some(),
            resumption: None,
        }
    }

    /// Whether it has asked for a connection that it had before, and got this one instead.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked
    }

    pub(super) fn take_since(&self, topic: &str) -> Option<Position> {
        self.since.lock().remove(topic)
    }

    /// The handshake has ended. A position of a topic that the module has not subscribed the client to is of no use.
    pub(crate) fn opened(&self, subprotocol: Option<String>) {
        self.since.lock().clear();
        if let Some(subprotocol) = subprotocol {
            let _ = self.subprotocol.set(subprotocol);
        }
    }

    /// The subprotocol that the module chose.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.get().map(String::as_str)
    }
}
