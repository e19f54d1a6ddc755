//! A client of a test.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Accepted;
use super::engine::{Engine, closing};
use crate::{ClosedBy, Closing, Connection, Message, Result};

/// One end of an accepted WebSocket; the handler has the other. To drop it does not end the connection:
/// [`disconnect`](Self::disconnect) and [`vanish`](Self::vanish) do.
pub struct Client {
    engine: Rc<Engine>,
    id: u64,
}

impl Client {
    pub(super) fn new(engine: Rc<Engine>, id: u64) -> Self {
        Self { engine, id }
    }

    /// The connection as the handler sees it.
    pub fn connection(&self) -> Connection {
        Connection::from_id(self.id)
    }

    /// Send a message, text or binary. When this returns the handler has had it, and everybody has what
    /// the handler sent.
    ///
    /// # Panics
    /// If the connection is closed, and if the handler panics.
    #[track_caller]
    pub fn send(&self, message: impl Into<Message>) {
        self.send_batch([message]);
    }

    /// Send a value as a text message of JSON.
    ///
    /// # Panics
    /// As [`send`](Self::send), and if the value cannot be written as JSON.
    #[track_caller]
    pub fn send_json(&self, value: &impl Serialize) {
        match Message::json(value) {
            Ok(message) => self.send(message),
            Err(error) => panic!("the message cannot be written: {error}"),
        }
    }

    /// Send several messages so fast that the host hands them over in one call. If the handler fails at
    /// one of them, it never sees those after it.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_batch<M: Into<Message>>(&self, messages: impl IntoIterator<Item = M>) {
        if let Some(Closing { code, reason, by }) = self.closed() {
            panic!("{self:?} cannot send, the connection is closed: {code} `{reason}`, {by:?}");
        }
        self.engine.receive(self.id, messages.into_iter().map(Into::into).collect());
    }

    /// What has come since this was last asked. A client that had stopped reading
    /// ([`fill_outbox`](super::TestHost::fill_outbox)) reads again.
    pub fn received(&self) -> Vec<Message> {
        let taken = self.engine.connection(self.id, |connection| {
            connection.outbox.resume();
            std::mem::take(&mut connection.received)
        });
        taken.unwrap_or_default()
    }

    /// The same, each message read as JSON.
    ///
    /// # Panics
    /// If one of them is no JSON.
    #[track_caller]
    pub fn received_json(&self) -> Vec<serde_json::Value> {
        let messages = self.received().into_iter();
        messages
            .map(|message| match message.parse_json() {
                Ok(value) => value,
                Err(error) => panic!("{self:?} received {message:?}, which is no JSON: {error}"),
            })
            .collect()
    }

    /// How the connection ended; none if it is open.
    pub fn closed(&self) -> Option<Closing> {
        self.engine.connection(self.id, |connection| connection.closed.clone()).flatten()
    }

    /// Close the connection with this code, if it is open. The handler's `closed` has run when this returns.
    pub fn disconnect(&self, code: u16) {
        self.engine.end(self.id, closing(code, "", ClosedBy::Client));
    }

    /// Be gone without a word, as a client that loses its network: 1006, by the transport.
    pub fn vanish(&self) {
        self.engine.end(self.id, closing(1006, "the client went away", ClosedBy::Transport));
    }

    /// What the handler keeps with the connection, or kept with it at its end.
    pub fn attachment_bytes(&self) -> Vec<u8> {
        self.engine.connection(self.id, |connection| connection.attachment.clone()).unwrap_or_default()
    }

    /// The same, read as JSON; if nothing is attached it reads as `null`.
    ///
    /// # Errors
    /// [`Error::Json`](crate::Error::Json) if it is no such JSON.
    pub fn attachment<T: DeserializeOwned>(&self) -> Result<T> {
        let bytes = self.attachment_bytes();
        let json = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
        Ok(serde_json::from_slice(json)?)
    }

    /// The topics that the connection is subscribed to, in alphabetical order.
    pub fn topics(&self) -> Vec<String> {
        let topics = self.engine.connection(self.id, |connection| connection.topics.iter().cloned().collect());
        topics.unwrap_or_default()
    }

    /// What the answer to the request said.
    pub fn accepted(&self) -> Accepted {
        self.engine.connection(self.id, |connection| connection.accepted.clone()).unwrap_or_default()
    }

    pub(super) fn stop_reading(&self) {
        self.engine.connection(self.id, |connection| connection.outbox.fill());
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.id)
    }
}
