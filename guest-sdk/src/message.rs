//! Messages: text or binary, and JSON as text.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Message, Result};

impl Message {
    /// A text message that holds `value` as JSON.
    ///
    /// # Errors
    /// [`Error::Json`](crate::Error::Json) if the value cannot be written as JSON, such as a map whose keys are no texts.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Text(serde_json::to_string(value)?))
    }

    /// Read the message, text or binary, as JSON.
    ///
    /// # Errors
    /// [`Error::Json`](crate::Error::Json), whose text says what is wrong and where.
    pub fn parse_json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(self.as_bytes())?)
    }

    /// The text, or `None` if the message is binary.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes of the message; those of a text are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_from_text_and_from_binary() {
        let text = Message::from("[1,2]");
        let binary = Message::from(b"[1,2]".as_slice());
        assert_eq!(text.parse_json::<Vec<u8>>().ok(), Some(vec![1, 2]));
        assert_eq!(binary.parse_json::<Vec<u8>>().ok(), Some(vec![1, 2]));
        assert!(Message::from("[1,").parse_json::<Vec<u8>>().is_err());
    }

    #[test]
    fn json_is_written_as_text() {
        let message = Message::json(&("é", 1)).ok();
        assert_eq!(message, Some(Message::Text("[\"é\",1]".into())));
    }

    #[test]
    fn only_a_text_message_has_a_text() {
        assert_eq!(Message::from("a").as_text(), Some("a"));
        assert_eq!(Message::from(vec![97]).as_text(), None);
    }
}
