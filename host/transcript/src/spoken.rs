//! Messages of `hassock.v1`: a header, a line feed, and the payload.

use serde_json::{Map, Value as Json};

use crate::backend::Message;

/// The name of the subprotocol.
pub const PROTOCOL: &str = "hassock.v1";

/// A message that came with a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The header; empty if the module has sent the payload to this client.
    pub header: Map<String, Json>,
    /// The payload.
    pub payload: Message,
}

/// A message cannot be read. The text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host has sent a message that `hassock.v1` does not have: {0}")]
pub struct NotSpoken(String);

impl Spoken {
    /// Tell the header from the payload.
    ///
    /// # Errors
    /// If there is no header.
    pub fn read(message: Message) -> Result<Self, NotSpoken> {
        let bytes = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        };
        let end =
            bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| NotSpoken("it has no line feed".to_owned()))?;
        let header = match bytes.get(..end).unwrap_or_default() {
            [] => Map::new(),
            header => serde_json::from_slice(header).map_err(|error| NotSpoken(format!("its header: {error}")))?,
        };
        let payload = match message {
            Message::Text(text) => Message::Text(text.get(end + 1..).unwrap_or_default().to_owned()),
            Message::Binary(bytes) => Message::Binary(bytes.get(end + 1..).unwrap_or_default().to_owned()),
        };
        Ok(Self { header, payload })
    }

    /// The `type`; none for what was published, and what the module has sent to this client.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.text("type")
    }

    /// A field that is a text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.header.get(field).and_then(Json::as_str)
    }
}

/// A message as it is sent. Without a header, it is for the module.
#[must_use]
pub fn with_header(header: Option<&Json>, payload: Message) -> Message {
    let header = header.map(Json::to_string).unwrap_or_default() + "\n";
    match payload {
        Message::Text(text) => Message::Text(header + &text),
        Message::Binary(bytes) => Message::Binary([header.as_bytes(), &bytes].concat()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_read_as_it_is_written() {
        for payload in [Message::Text("a\nb".to_owned()), Message::Binary(vec![10, 255]), Message::Text(String::new())]
        {
            let header = json!({ "topic": "a\n\"b" });
            let spoken = Spoken::read(with_header(Some(&header), payload.clone())).unwrap();
            assert_eq!((Json::Object(spoken.header), spoken.payload), (header, payload.clone()));
            let plain = Spoken::read(with_header(None, payload.clone())).unwrap();
            assert_eq!((plain.header.len(), plain.payload), (0, payload));
        }
    }

    #[test]
    fn what_has_no_header_is_an_error() {
        for (message, said) in [("hi", "no line feed"), ("hi\n", "its header"), ("[]\n", "its header")] {
            let error = Spoken::read(Message::Text(message.to_owned())).unwrap_err().to_string();
            assert!(error.contains(said), "{message}: {error}");
        }
    }
}
