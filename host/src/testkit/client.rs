//! A virtual client: one WebSocket to a simulated host.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use super::in_process_host::InProcessHost;
use super::socket::Socket;
use super::{Answer, Message, Received, TestError};
use crate::app::connection::Connection;

/// One client of a [`TestHost`](super::TestHost). What it does happens at once, with everything that follows
/// from it: when [`send_text`](Self::send_text) returns, all answers are there. When it is dropped, its connection
/// breaks as after [`vanish`](Self::vanish).
pub struct Client {
    host: Rc<InProcessHost>,
    socket: Socket,
    answer: Answer,
    id: u64,
    connection: Option<Arc<Connection>>,
}

impl Client {
    pub(super) fn new(host: Rc<InProcessHost>, answer: Answer, socket: Socket, id: u64) -> Self {
        let connection = host.connection(id);
        Self { host, socket, answer, id, connection }
    }

    /// The id of the connection, as the module sees it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The answer to the request: the subprotocol and other header fields that the module chose.
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
    /// If the connection is closed already.
    pub fn disconnect(&self, close: Option<(u16, &str)>) -> Result<(), TestError> {
        self.did(self.socket.close(close))
    }

    /// Break the connection without a close frame, as if the client's machine were switched off.
    ///
    /// # Errors
    /// If the connection is closed already.
    pub fn vanish(&self) -> Result<(), TestError> {
        self.did(self.socket.vanish())
    }

    /// Take what the client received next: a message, or the end of the connection unless the client ended it.
    pub fn receive(&self) -> Option<Received> {
        self.socket.take()
    }

    /// Take all messages that the client has received so far.
    pub fn messages(&self) -> Vec<Message> {
        std::iter::from_fn(|| self.socket.take_message()).collect()
    }

    /// Whether neither side has closed the connection.
    pub fn is_open(&self) -> bool {
        self.socket.is_open()
    }

    /// Fill the outbox, as if the client had read nothing for a long time: until its session writes next, a `send` of
    /// the module fails with `outbox-full`, and a publish closes the connection with 1013.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn fail_outbox(&self) -> Result<(), TestError> {
        match &self.connection {
            Some(connection) if self.is_open() => {
                connection.outbox.fill();
                Ok(())
            }
            _ => Err(closed()),
        }
    }

    /// All bytes that the host has written so far, the answer to the request included.
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
        self.host.settle();
        if was_open { Ok(()) } else { Err(closed()) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A test that has failed needs nothing further.
        if !std::thread::panicking() {
            self.did(self.socket.vanish()).ok();
        }
    }
}

fn closed() -> TestError {
    TestError("the connection is closed".to_owned())
}
