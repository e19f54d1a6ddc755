//! A virtual client: one WebSocket to a host in a laboratory.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use super::TestError;
use super::socket::Socket;
use super::stand::Stand;
use super::types::{Answer, Message, Received};
use crate::app::connection::Connection;

/// One client of a [`TestHost`](super::TestHost). What it does happens at once, with everything that follows
/// from it: when [`send_text`](Self::send_text) returns, all answers are there. Dropped, its connection breaks
/// as if it [vanished](Self::vanish).
pub struct Client {
    stand: Rc<Stand>,
    socket: Socket,
    answer: Answer,
    connection: Option<Arc<Connection>>,
}

impl Client {
    pub(super) fn new(stand: Rc<Stand>, answer: Answer, socket: Socket, connection: Option<Arc<Connection>>) -> Self {
        Self { stand, socket, answer, connection }
    }

    /// The answer to its request: the subprotocol and other header fields that the module chose.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Send a text message.
    ///
    /// # Panics
    /// If the connection is closed.
    #[track_caller]
    pub fn send_text(&self, text: impl Into<String>) {
        self.must_send(Message::Text(text.into()));
    }

    /// Send a value as a text message of JSON.
    ///
    /// # Panics
    /// If the connection is closed.
    #[track_caller]
    pub fn send_json(&self, value: &Json) {
        self.must_send(Message::Text(value.to_string()));
    }

    /// Send a binary message.
    ///
    /// # Panics
    /// If the connection is closed.
    #[track_caller]
    pub fn send_binary(&self, bytes: impl Into<Vec<u8>>) {
        self.must_send(Message::Binary(bytes.into()));
    }

    /// Send a message.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), TestError> {
        self.did(self.socket.send(message.into()))
    }

    /// Close the connection with a close frame, which may have a code and a reason. The module's `closed` has
    /// run when this returns.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn disconnect(&self, close: Option<(u16, &str)>) -> Result<(), TestError> {
        self.did(self.socket.close(close))
    }

    /// Break the connection without a close frame, as a client does whose machine is switched off.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn vanish(&self) -> Result<(), TestError> {
        self.did(self.socket.vanish())
    }

    /// What came next: a message, or the end of the connection unless it was the client who ended it.
    pub fn receive(&self) -> Option<Received> {
        self.socket.take()
    }

    /// All messages that have come and were not taken yet.
    pub fn messages(&self) -> Vec<Message> {
        std::iter::from_fn(|| self.socket.take_message()).collect()
    }

    /// Whether neither side has closed it.
    pub fn is_open(&self) -> bool {
        self.socket.is_open()
    }

    /// Have its outbox be full, as if it had read nothing for long: until its session writes next, a `send` of
    /// the module fails with `outbox-full`, and a publish closes the connection with 1013.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn fill_outbox(&self) -> Result<(), TestError> {
        match &self.connection {
            Some(connection) if self.is_open() => {
                connection.outbox.fill();
                Ok(())
            }
            _ => Err(closed()),
        }
    }

    /// All bytes that the host has written to it so far, its answer to the request included.
    pub fn received_bytes(&self) -> Vec<u8> {
        self.socket.bytes()
    }

    #[track_caller]
    #[allow(clippy::panic, reason = "this is what a failed test does")]
    fn must_send(&self, message: Message) {
        if let Err(error) = self.send(message) {
            panic!("the message was not sent: {error}");
        }
    }

    fn did(&self, was_open: bool) -> Result<(), TestError> {
        self.stand.settle();
        if was_open { Ok(()) } else { Err(closed()) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A test that has failed has seen enough.
        if !std::thread::panicking() {
            self.did(self.socket.vanish()).ok();
        }
    }
}

fn closed() -> TestError {
    TestError("the connection is closed".to_owned())
}
