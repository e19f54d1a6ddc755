//! What tests ask of a client, with a panic that says what was there instead.
#![allow(clippy::panic, reason = "this is what a failed test does")]

use serde_json::Value as Json;

use super::client::Client;
use super::{Message, Received};

impl Client {
    /// Take the next message, which must be this text.
    ///
    /// # Panics
    /// If it is another one, or none.
    #[track_caller]
    pub fn expect_text(&self, expected: &str) {
        match self.receive() {
            Some(Received::Message(Message::Text(text))) if text == expected => {}
            other => panic!("expected the text {expected:?}, got {}", describe(other.as_ref())),
        }
    }

    /// Take the next message, which must be this JSON, in whatever order its keys are.
    ///
    /// # Panics
    /// If it is another one, or none.
    #[track_caller]
    pub fn expect_json(&self, expected: &Json) {
        let got = self.receive();
        let json = match &got {
            Some(Received::Message(Message::Text(text))) => serde_json::from_str::<Json>(text).ok(),
            _ => None,
        };
        if json.as_ref() != Some(expected) {
            panic!("expected {expected}, got {}", describe(got.as_ref()));
        }
    }

    /// Take the next message, which must be binary and have these bytes.
    ///
    /// # Panics
    /// If it is another one, or none.
    #[track_caller]
    pub fn expect_binary(&self, expected: &[u8]) {
        match self.receive() {
            Some(Received::Message(Message::Binary(bytes))) if bytes == expected => {}
            other => {
                let expected = Message::Binary(expected.to_vec());
                panic!("expected {expected}, got {}", describe(other.as_ref()));
            }
        }
    }

    /// There must be no further message, and the connection must be open.
    ///
    /// # Panics
    /// If something has come.
    #[track_caller]
    pub fn expect_nothing(&self) {
        if let Some(received) = self.receive() {
            panic!("expected nothing, got {}", describe(Some(&received)));
        }
    }

    /// Take the end of the connection, which must come next. Returns its code and reason.
    ///
    /// # Panics
    /// If a message comes first, or it is open.
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
        Some(Received::Message(message)) => message.to_string(),
        Some(Received::Closed { code, reason }) => format!("the end of the connection, {code} {reason:?}"),
        None => "nothing".to_owned(),
    }
}
