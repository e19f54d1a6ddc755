//! A client of a test.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::{Engine, closing};
use super::{Answer, Connect};
use crate::{ClosedBy, Closing, Connection, Message, Result};

/// One end of an accepted WebSocket; the handler has the other. Dropping it does not end the connection:
/// [`disconnect`](Self::disconnect) and [`vanish`](Self::vanish) do.
pub struct MockClient {
    engine: Rc<Engine>,
    id: u64,
}

/// What a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// The connection was closed, but not by the client.
    Closed {
        /// The close code; 1006 without a close frame.
        code: u16,
        /// The reason.
        reason: String,
    },
}

impl MockClient {
    pub(super) fn new(engine: Rc<Engine>, id: u64) -> Self {
        Self { engine, id }
    }

    /// The connection as the handler sees it.
    pub fn connection(&self) -> Connection {
        Connection::from_id(self.id)
    }

    /// The answer to its request: the subprotocol and other header fields that the handler chose.
    pub fn answer(&self) -> Answer {
        let answer = self.engine.connection(self.id, |connection| connection.answer.clone());
        answer.flatten().unwrap_or_else(Answer::broken)
    }

    /// Send a text message. When this returns, the handler has processed it, and all clients have what the handler
    /// sent.
    ///
    /// # Panics
    /// If the connection is closed, or if the handler panics.
    #[track_caller]
    pub fn send_text(&self, text: impl Into<String>) {
        self.send(Message::Text(text.into()));
    }

    /// Send a value as a text message of JSON.
    ///
    /// # Panics
    /// As [`send_text`](Self::send_text), or if the value cannot be written as JSON.
    #[track_caller]
    pub fn send_json(&self, value: &impl Serialize) {
        match Message::json(value) {
            Ok(message) => self.send(message),
            Err(error) => panic!("the message cannot be written: {error}"),
        }
    }

    /// Send a binary message.
    ///
    /// # Panics
    /// As [`send_text`](Self::send_text).
    #[track_caller]
    pub fn send_binary(&self, bytes: impl Into<Vec<u8>>) {
        self.send(Message::Binary(bytes.into()));
    }

    /// Send a message, text or binary.
    ///
    /// # Panics
    /// As [`send_text`](Self::send_text).
    #[track_caller]
    pub fn send(&self, message: impl Into<Message>) {
        self.send_batch([message]);
    }

    /// Send several messages so fast that the host hands them over in one call. If the handler fails at
    /// one of them, it never sees those after it.
    ///
    /// # Panics
    /// As [`send_text`](Self::send_text).
    #[track_caller]
    pub fn send_batch<M: Into<Message>>(&self, messages: impl IntoIterator<Item = M>) {
        if let Some(Closing { code, reason, by }) = self.closing() {
            panic!("{self:?} cannot send, the connection is closed: {code} `{reason}`, {by:?}");
        }
        self.engine.receive(self.id, messages.into_iter().map(Into::into).collect());
    }

    /// Subscribe to a topic by itself, as a client of `hassock.v1` does.
    ///
    /// # Errors
    /// The text that the client gets if it may not.
    pub fn subscribe(&self, topic: &str) -> Result<(), String> {
        self.engine.subscribe(self.id, topic)
    }

    /// Ask something, as a client of `hassock.v1` does, and return the answer.
    ///
    /// # Errors
    /// The text that the client gets instead of an answer.
    pub fn request(&self, message: impl Into<Message>) -> Result<Message, String> {
        self.engine.request(self.id, &message.into())
    }

    /// Come back with another handshake after the network was gone for a while, as a client of `hassock.v1` does within
    /// `resume_for`. The connection stays the same; the handler's `on_resume` has run when this returns.
    ///
    /// # Panics
    /// If the connection is closed, or if the handler panics.
    #[track_caller]
    pub fn resume(&self, connect: impl Into<Connect>) {
        assert!(self.is_open(), "the connection is closed");
        self.engine.resume(self.id, connect.into().into_request());
    }

    /// If the connection is open, close it with a close frame, which may have a code and a reason. The handler's
    /// `on_close` has run when this returns.
    pub fn disconnect(&self, close: Option<(u16, &str)>) {
        let (code, reason) = close.unwrap_or((1005, ""));
        self.engine.end(self.id, closing(code, reason, ClosedBy::Client));
    }

    /// Break the connection without a close frame, like a client that loses its network: 1006, by the transport.
    pub fn vanish(&self) {
        self.engine.end(self.id, closing(1006, "the client went away", ClosedBy::Transport));
    }

    /// Take what came next: a message, or the end of the connection unless the client ended it.
    pub fn receive(&self) -> Option<Received> {
        self.engine.connection(self.id, |connection| connection.receive()).flatten()
    }

    /// Take all messages that have arrived and have not been taken yet.
    pub fn messages(&self) -> Vec<Message> {
        let taken = self.engine.connection(self.id, |connection| connection.messages());
        taken.unwrap_or_default()
    }

    /// As [`messages`](Self::messages), with each message read as JSON.
    ///
    /// # Panics
    /// If one of them is not JSON.
    #[track_caller]
    pub fn messages_json(&self) -> Vec<serde_json::Value> {
        let read = |message: Message| match message.parse_json() {
            Ok(value) => value,
            Err(error) => panic!("{self:?} received {message:?}, which is not JSON: {error}"),
        };
        self.messages().into_iter().map(read).collect()
    }

    /// Whether the connection is open.
    pub fn is_open(&self) -> bool {
        self.closing().is_none()
    }

    /// How the connection ended, whichever side ended it; `None` if it is open.
    pub fn closing(&self) -> Option<Closing> {
        self.engine.connection(self.id, |connection| connection.closed.clone()).flatten()
    }

    /// Stop reading, so that the outbox is full: sending to this client fails with
    /// [`OutboxFull`](crate::ConnectionError::OutboxFull), and a published message closes it with 1013. It reads again
    /// when the test asks for what it has [received](Self::receive).
    pub fn fill_outbox(&self) {
        self.engine.connection(self.id, |connection| connection.outbox.fill());
    }

    /// The attachment of the connection as bytes; after the end of the connection, the last one.
    pub fn attachment_bytes(&self) -> Vec<u8> {
        self.engine.connection(self.id, |connection| connection.attachment.clone()).unwrap_or_default()
    }

    /// The attachment, read as JSON; if nothing is attached, it reads as `null`.
    ///
    /// # Errors
    /// A [`serde_json::Error`] if it is not the JSON of a `T`.
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
}

impl fmt::Debug for MockClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.id)
    }
}
