//! Messages, and the types that a handler can read them as.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ClientError, Json, Result};

/// One whole WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

impl Message {
    /// A text message that holds `value` as JSON.
    ///
    /// # Errors
    /// A [`serde_json::Error`] if the value cannot be written as JSON, such as a map with keys that are not texts.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Text(serde_json::to_string(value)?))
    }

    /// Read the message, text or binary, as JSON.
    ///
    /// # Errors
    /// A [`serde_json::Error`] with a text that says what is wrong and where.
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

/// A type that [`Handler::on_message`](crate::Handler::on_message) can get. `Handler::Message` selects it.
///
/// | type | reads |
/// |---|---|
/// | [`Message`] | every message, as it is |
/// | `String` | text messages |
/// | `Vec<u8>` | binary messages |
/// | [`Json<T>`] | text and binary messages that are the JSON of a `T` |
///
/// Implement it for a type of your own to read another format.
pub trait FromMessage: Sized {
    /// Read a message.
    ///
    /// # Errors
    /// The error that the client reads if the message is not a `Self`, see
    /// [`Handler::on_client_error`](crate::Handler::on_client_error).
    fn from_message(message: Message) -> Result<Self, ClientError>;
}

impl FromMessage for Message {
    fn from_message(message: Message) -> Result<Self, ClientError> {
        Ok(message)
    }
}

impl FromMessage for String {
    fn from_message(message: Message) -> Result<Self, ClientError> {
        match message {
            Message::Text(text) => Ok(text),
            Message::Binary(_) => Err(ClientError::new("the message is binary; send text")),
        }
    }
}

impl FromMessage for Vec<u8> {
    fn from_message(message: Message) -> Result<Self, ClientError> {
        match message {
            Message::Binary(bytes) => Ok(bytes),
            Message::Text(_) => Err(ClientError::new("the message is text; send binary")),
        }
    }
}

impl<T: DeserializeOwned> FromMessage for Json<T> {
    fn from_message(message: Message) -> Result<Self, ClientError> {
        let read = serde_json::from_slice(message.as_bytes());
        read.map(Self).map_err(|error| ClientError::new(error.to_string()))
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

    #[test]
    fn messages_are_read_as_the_type_of_the_handler() {
        let (text, binary) = (Message::from("[1]"), Message::from(b"[1]".as_slice()));
        assert_eq!(String::from_message(text.clone()), Ok("[1]".into()));
        assert_eq!(Vec::<u8>::from_message(binary.clone()), Ok(b"[1]".to_vec()));
        assert_eq!(Json::<Vec<u8>>::from_message(text.clone()), Ok(Json(vec![1])));
        assert_eq!(Json::<Vec<u8>>::from_message(binary.clone()), Ok(Json(vec![1])));
        assert_eq!(String::from_message(binary), Err(ClientError::new("the message is binary; send text")));
        assert_eq!(Vec::<u8>::from_message(text.clone()), Err(ClientError::new("the message is text; send binary")));
        let error = Json::<u8>::from_message(text).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.starts_with("invalid type: sequence, expected u8")));
    }
}
