//! The events of a recording, as its reader gets them: one JSON object per line, without what must not leave the host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// An event and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Microseconds since the recording began.
    pub at: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. Texts and JSON are those of the traffic. Where a value was redacted, the word `redacted` stands
/// instead, or the event says explicitly that the value is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The recording began; always the first.
    Began {
        /// The app.
        app: String,
        /// The version that serves its new connections.
        version: String,
        /// How many connections are to be recorded.
        connections: usize,
        /// The time of day, as RFC 3339 writes it.
        clock: String,
    },
    /// A client asked for a WebSocket and got it.
    Connected {
        /// What the recording calls it: `c1`, `c2`, …
        client: String,
        /// The request.
        #[serde(flatten)]
        request: RecordedRequest,
        /// The id that the host gave it.
        id: u64,
        /// The header fields of the answer that the module chose; a value is none if it was redacted.
        answer: Vec<(String, Option<String>)>,
        /// Only if the client speaks `hassock.v1`: the positions that it had from before, by topic.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<BTreeMap<String, String>>,
    },
    /// A client asked and did not get it.
    Refused {
        /// As above.
        client: String,
        /// The request.
        #[serde(flatten)]
        request: RecordedRequest,
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The module is about to get a message.
    Sent {
        /// The client that sent it.
        client: String,
        /// The message.
        message: Sent,
    },
    /// A client gets a message.
    Received {
        /// The client.
        client: String,
        /// The message.
        message: Received,
    },
    /// A client that speaks `hassock.v1` asks the host for something, or asks the module.
    Said {
        /// The client.
        client: String,
        /// The header of the message.
        header: Json,
        /// Its payload.
        message: Sent,
    },
    /// A client that speaks `hassock.v1` gets a message that has a header.
    Heard {
        /// The client.
        client: String,
        /// The header; the text `redacted` stands for each redacted value.
        header: Json,
        /// The redacted values of the header, as JSON Pointers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        redacted: Vec<String>,
        /// The payload.
        message: Received,
    },
    /// Another program is about to publish a message.
    Published {
        /// The topic.
        topic: String,
        /// The name of the message within its topic.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The message.
        message: Sent,
    },
    /// A timer is about to be fired.
    Fired,
    /// A connection has ended.
    Ended {
        /// The client of the connection.
        client: String,
        /// Which side ended it.
        by: EndedBy,
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The recording is complete; the last event.
    Complete,
    /// The host stops or no longer has the app, so that no more connections will come; the last event.
    CutShort,
    /// The reader was too slow and has missed an event, so that later events would be useless; the last event.
    TooSlow {
        /// A sentence with what to do.
        error: String,
    },
}

/// A request for a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// Path and query.
    pub target: String,
    /// Its header fields, without those of the handshake itself.
    pub headers: Vec<(String, String)>,
}

/// A message from a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sent {
    /// A text message.
    Text(String),
    /// A binary message, two hex digits a byte.
    #[serde(with = "hex")]
    Binary(Vec<u8>),
}

/// A message to a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Received {
    /// A text message.
    Text(String),
    /// A text message that is JSON.
    Json {
        /// The JSON; the text `redacted` stands for each redacted value.
        value: Json,
        /// The redacted values, as JSON Pointers (RFC 6901); the pointer `""` is the whole message.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        redacted: Vec<String>,
    },
    /// A binary message, two hex digits a byte.
    #[serde(with = "hex")]
    Binary(Vec<u8>),
}

/// Which side ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are those of the contract")]
pub enum EndedBy {
    Client,
    Module,
    Host,
    Transport,
}

/// Bytes as two hex digits each.
mod hex {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // A string takes everything.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte =
            |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let bytes: Option<Vec<u8>> =
            text.as_bytes().chunks(2).map(|digits| byte(digits).filter(|_| digits.len() == 2)).collect();
        bytes.ok_or_else(|| de::Error::custom("not pairs of hex digits"))
    }
}
