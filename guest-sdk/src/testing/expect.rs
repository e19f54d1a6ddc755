//! What tests expect of a client. If it is not there, a panic says what was there instead.

use serde::Serialize;
use serde_json::Value as Json;

use super::client::{MockClient, Received};
use crate::Message;

impl MockClient {
    /// Take the next message, which must be this text.
    ///
    /// # Panics
    /// If it is another message, or if there is none.
    #[track_caller]
    pub fn expect_text(&self, expected: &str) {
        match self.receive() {
            Some(Received::Message(Message::Text(text))) if text == expected => {}
            other => panic!("expected the text {expected:?}, got {}", describe(other.as_ref())),
        }
    }

    /// Take the next message, which must be this JSON, with its keys in any order.
    ///
    /// # Panics
    /// If it is another message, or if there is none.
    #[track_caller]
    pub fn expect_json(&self, expected: &impl Serialize) {
        let expected = serde_json::to_value(expected).unwrap_or_default();
        let got = self.receive();
        let json = match &got {
            Some(Received::Message(Message::Text(text))) => serde_json::from_str::<Json>(text).ok(),
            _ => None,
        };
        if json.as_ref() != Some(&expected) {
            panic!("expected {expected}, got {}", describe(got.as_ref()));
        }
    }

    /// Take the next message, which must be binary and have these bytes.
    ///
    /// # Panics
    /// If it is another message, or if there is none.
    #[track_caller]
    pub fn expect_binary(&self, expected: &[u8]) {
        match self.receive() {
            Some(Received::Message(Message::Binary(bytes))) if bytes == expected => {}
            other => panic!("expected the bytes {expected:?}, got {}", describe(other.as_ref())),
        }
    }

    /// Check that there is no further message and that the connection is open.
    ///
    /// # Panics
    /// If something has arrived.
    #[track_caller]
    pub fn expect_nothing(&self) {
        if let Some(received) = self.receive() {
            panic!("expected nothing, got {}", describe(Some(&received)));
        }
    }

    /// Take the end of the connection, which must come next. Returns its code and reason.
    ///
    /// # Panics
    /// If a message comes first, or the connection is open.
    #[track_caller]
    pub fn closed(&self) -> (u16, String) {
        match self.receive() {
            Some(Received::Closed { code, reason }) => (code, reason),
            other => panic!("expected the connection to be closed, got {}", describe(other.as_ref())),
        }
    }
}

fn describe(received: Option<&Received>) -> String {
    match received {
        Some(Received::Message(Message::Text(text))) => format!("the text {text:?}"),
        Some(Received::Message(Message::Binary(bytes))) => format!("the bytes {bytes:?}"),
        Some(Received::Closed { code, reason }) => format!("the end of the connection, {code} {reason:?}"),
        None => "nothing".to_owned(),
    }
}
