//! Messages, and the types that a handler can read them as.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ClientError, Json, Result};

/// One whole WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

/// One whole WebSocket message that is borrowed, such as one that arrived: to read it or to send it on costs no copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageRef<'a> {
    is_text: bool,
    /// Those of a text are UTF-8: the host has checked it. To check them again costs as much as the rest of a message, so
    /// only a module that reads the text does.
    bytes: &'a [u8],
}

/// What can be sent and published: text from a `String` or `&str`, binary from a `Vec<u8>` or `&[u8]`, and messages.
pub trait AsMessage {
    /// The message, borrowed.
    fn as_message(&self) -> MessageRef<'_>;

    /// The message, owned. A type that owns its bytes passes them on.
    fn into_message(self) -> Message
    where
        Self: Sized,
    {
        self.as_message().into()
    }
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
    pub fn parse_json<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.as_message().parse_json()
    }

    /// The text, or `None` if the message is binary.
    pub fn as_text(&self) -> Option<&str> {
        self.as_message().as_text()
    }

    /// The bytes of the message; those of a text are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_message().as_bytes()
    }
}

impl<'a> MessageRef<'a> {
    /// A text message.
    pub const fn text(text: &'a str) -> Self {
        Self { is_text: true, bytes: text.as_bytes() }
    }

    /// A binary message.
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self { is_text: false, bytes }
    }

    /// A message from the host.
    #[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
    pub(crate) fn from_host(is_text: bool, bytes: &'a [u8]) -> Self {
        Self { is_text, bytes }
    }

    /// Whether it is a text message.
    pub const fn is_text(self) -> bool {
        self.is_text
    }

    /// Read the message, text or binary, as JSON.
    ///
    /// # Errors
    /// A [`serde_json::Error`] with a text that says what is wrong and where.
    pub fn parse_json<T: Deserialize<'a>>(self) -> Result<T> {
        Ok(serde_json::from_slice(self.as_bytes())?)
    }

    /// The text, or `None` if the message is binary.
    pub fn as_text(self) -> Option<&'a str> {
        self.is_text.then(|| std::str::from_utf8(self.bytes).ok()).flatten()
    }

    /// The bytes of the message; those of a text are UTF-8.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_text() {
            Some(text) => f.debug_tuple("Text").field(&text).finish(),
            None => f.debug_tuple("Binary").field(&self.bytes).finish(),
        }
    }
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Self {
        match message.as_text() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Binary(message.bytes.to_vec()),
        }
    }
}

impl AsMessage for MessageRef<'_> {
    fn as_message(&self) -> MessageRef<'_> {
        *self
    }
}

impl AsMessage for Message {
    fn as_message(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::text(text),
            Self::Binary(bytes) => MessageRef::binary(bytes),
        }
    }

    fn into_message(self) -> Self {
        self
    }
}

/// [`AsMessage`] for types that own a text or bytes, and for those that borrow them.
macro_rules! as_message {
    ($($case:ident, $make:ident: $owned:ty, $borrowed:ty;)*) => {$(
        impl AsMessage for $owned {
            fn as_message(&self) -> MessageRef<'_> {
                MessageRef::$make(self)
            }

            fn into_message(self) -> Message {
                Message::$case(self)
            }
        }

        impl AsMessage for &$owned {
            fn as_message(&self) -> MessageRef<'_> {
                MessageRef::$make(self)
            }
        }

        impl AsMessage for &$borrowed {
            fn as_message(&self) -> MessageRef<'_> {
                MessageRef::$make(self)
            }
        }
    )*};
}
as_message! {
    Text, text: String, str;
    Binary, binary: Vec<u8>, [u8];
}

impl<const LENGTH: usize> AsMessage for &[u8; LENGTH] {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef::binary(self.as_slice())
    }
}

impl AsMessage for &Message {
    fn as_message(&self) -> MessageRef<'_> {
        (**self).as_message()
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
/// | [`MessageRef<'a>`](MessageRef), [`Message`] | every message, as it is |
/// | `&'a str`, `String` | text messages |
/// | `&'a [u8]`, `Vec<u8>` | binary messages |
/// | [`Json<T>`] | text and binary messages that are the JSON of a `T`, which may borrow from the message |
///
/// A borrowed type costs no copy. Implement the trait for a type of your own to read another format.
pub trait FromMessage<'a>: Sized {
    /// Read a message.
    ///
    /// # Errors
    /// The error that the client reads if the message is not a `Self`, see
    /// [`Handler::on_client_error`](crate::Handler::on_client_error).
    fn from_message(message: MessageRef<'a>) -> Result<Self, ClientError>;
}

impl<'a> FromMessage<'a> for MessageRef<'a> {
    fn from_message(message: Self) -> Result<Self, ClientError> {
        Ok(message)
    }
}

impl FromMessage<'_> for Message {
    fn from_message(message: MessageRef<'_>) -> Result<Self, ClientError> {
        Ok(message.into())
    }
}

impl<'a> FromMessage<'a> for &'a str {
    fn from_message(message: MessageRef<'a>) -> Result<Self, ClientError> {
        message.as_text().ok_or_else(|| ClientError::new("the message is binary; send text"))
    }
}

impl FromMessage<'_> for String {
    fn from_message(message: MessageRef<'_>) -> Result<Self, ClientError> {
        <&str>::from_message(message).map(str::to_owned)
    }
}

impl<'a> FromMessage<'a> for &'a [u8] {
    fn from_message(message: MessageRef<'a>) -> Result<Self, ClientError> {
        match message.is_text {
            false => Ok(message.bytes),
            true => Err(ClientError::new("the message is text; send binary")),
        }
    }
}

impl FromMessage<'_> for Vec<u8> {
    fn from_message(message: MessageRef<'_>) -> Result<Self, ClientError> {
        <&[u8]>::from_message(message).map(<[u8]>::to_vec)
    }
}

impl<'a, T: Deserialize<'a>> FromMessage<'a> for Json<T> {
    fn from_message(message: MessageRef<'a>) -> Result<Self, ClientError> {
        let read = serde_json::from_slice(message.as_bytes());
        read.map(Self).map_err(|error| ClientError::new(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_sent_is_a_text_or_binary() {
        fn both(message: impl AsMessage) -> (Message, Message) {
            (message.as_message().into(), message.into_message())
        }
        let (text, binary) = (Message::Text("a".into()), Message::Binary(vec![97]));
        let (string, bytes) = ("a".to_owned(), vec![97]);
        for sent in [both("a"), both(&string), both(string), both(MessageRef::text("a")), both(&text)] {
            assert_eq!(sent, (text.clone(), text.clone()));
        }
        for sent in [both(b"a"), both(b"a".as_slice()), both(&bytes), both(bytes), both(binary.clone())] {
            assert_eq!(sent, (binary.clone(), binary.clone()));
        }
    }

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
        let (text, binary) = (MessageRef::text("[1]"), MessageRef::binary(b"[1]"));
        assert_eq!(MessageRef::from_message(text), Ok(text));
        assert_eq!(Message::from_message(binary), Ok(Message::from(b"[1]".as_slice())));
        assert_eq!(<&str>::from_message(text), Ok("[1]"));
        assert_eq!(String::from_message(text), Ok("[1]".into()));
        assert_eq!(<&[u8]>::from_message(binary), Ok(b"[1]".as_slice()));
        assert_eq!(Vec::<u8>::from_message(binary), Ok(b"[1]".to_vec()));
        assert_eq!(Json::<Vec<u8>>::from_message(text), Ok(Json(vec![1])));
        assert_eq!(Json::<Vec<u8>>::from_message(binary), Ok(Json(vec![1])));
        assert_eq!(Json::<&str>::from_message(MessageRef::text("\"a\"")), Ok(Json("a")));
        assert_eq!(String::from_message(binary), Err(ClientError::new("the message is binary; send text")));
        assert_eq!(Vec::<u8>::from_message(text), Err(ClientError::new("the message is text; send binary")));
        let error = Json::<u8>::from_message(text).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.starts_with("invalid type: sequence, expected u8")));
    }
}
