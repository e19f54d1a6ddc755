//! Messages on their way through NATS: the payload as it is, and the rest in headers.

use std::time::Duration;

use async_nats::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hassock_frames::Encoded;

const ID: &str = "Hassock-Id";
const EXCEPT: &str = "Hassock-Except";
const KIND: &str = "Hassock-Type";
const BINARY: &str = "binary";
const EPOCH: &str = "Hassock-Epoch";

/// Headers of NATS on what a stream passes on.
const SEQUENCE: &str = "Nats-Sequence";
const LAST_SEQUENCE: &str = "Nats-Last-Sequence";

/// A message that is published.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// The message, not compressed.
    pub(crate) message: Encoded,
    /// The id that its publisher gave it.
    pub(crate) id: Option<String>,
    /// The connection that does not get it.
    pub(crate) except: Option<u64>,
}

/// A message that has come from NATS.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// The message.
    pub(crate) message: Encoded,
    /// The id that its publisher gave it.
    pub(crate) id: Option<String>,
    /// The connection that does not get it.
    pub(crate) except: Option<u64>,
    /// Where the stream has it; none if nobody keeps it.
    pub(crate) place: Option<Placed>,
}

/// Where the stream has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its number.
    pub(crate) sequence: u64,
    /// That of the message before it in its topic; 0 if there was none any more. Only of messages that are passed on.
    pub(crate) before: u64,
    /// The epoch in which its publisher believed the stream to be.
    pub(crate) epoch: Option<u64>,
    /// How long ago it was stored.
    pub(crate) age: Duration,
}

impl Outgoing {
    pub(super) fn payload(&self) -> Bytes {
        self.message.payload()
    }

    /// What a message has in the epoch of its stream.
    pub(super) fn headers_in(&self, epoch: u64) -> HeaderMap {
        let mut headers = self.headers();
        headers.insert(EPOCH, epoch.to_string());
        headers
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(ID, URL_SAFE_NO_PAD.encode(id));
        }
        if let Some(except) = self.except {
            headers.insert(EXCEPT, except.to_string());
        }
        if self.message.as_text().is_none() {
            headers.insert(KIND, BINARY);
        }
        headers
    }
}

impl Arrived {
    /// A message that a host was listening for.
    pub(super) fn passed_on(headers: Option<&HeaderMap>, payload: &Bytes) -> Self {
        let number = |name| headers.and_then(|headers| headers.get(name)).and_then(|value| value.as_str().parse().ok());
        let place = number(SEQUENCE).map(|sequence| Placed {
            sequence,
            before: number(LAST_SEQUENCE).unwrap_or(0),
            epoch: number(EPOCH),
            age: Duration::ZERO,
        });
        Self::new(headers, payload, place)
    }

    /// A message that was read from the stream.
    pub(super) fn read(headers: &HeaderMap, payload: &Bytes, sequence: u64, age: Duration) -> Self {
        Self::new(Some(headers), payload, Some(Placed { sequence, before: 0, epoch: None, age }))
    }

    fn new(headers: Option<&HeaderMap>, payload: &Bytes, place: Option<Placed>) -> Self {
        let header = |name| headers.and_then(|headers| headers.get(name)).map(|value| value.as_str().to_owned());
        let is_binary = header(KIND).is_some_and(|kind| kind == BINARY);
        // Any program may publish there.
        let message = match std::str::from_utf8(payload) {
            Ok(text) if !is_binary => Encoded::text(text),
            _ => Encoded::binary(payload),
        };
        let id = header(ID).and_then(|id| String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok());
        let except = header(EXCEPT).and_then(|id| id.parse().ok());
        Self { message, id, except, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(outgoing: &Outgoing) -> Arrived {
        let headers = outgoing.headers();
        Arrived::read(&headers, &outgoing.payload(), 7, Duration::ZERO)
    }

    #[test]
    fn messages_arrive_as_they_were_sent() {
        for (message, id, except) in [
            (Encoded::text("hello"), None, None),
            (Encoded::text(""), Some("a\r\nb: c"), Some(1 << 52)),
            (Encoded::binary(b"hello"), Some("\u{fc}"), None),
            (Encoded::binary(&[255]), None, Some(0)),
        ] {
            let outgoing = Outgoing { message, id: id.map(str::to_owned), except };
            let arrived = there_and_back(&outgoing);
            assert_eq!(arrived.message.as_bytes(), outgoing.message.as_bytes());
            assert_eq!((arrived.id.as_deref(), arrived.except), (id, except));
        }
    }

    #[test]
    fn what_others_publish_there_does_no_harm() {
        let mut headers = HeaderMap::new();
        for name in [ID, EXCEPT, KIND, SEQUENCE, LAST_SEQUENCE] {
            headers.insert(name, "%");
        }
        let arrived = Arrived::passed_on(Some(&headers), &Bytes::from_static(&[0xff]));
        assert_eq!((arrived.id, arrived.except, arrived.place), (None, None, None));
        assert_eq!(arrived.message.as_text(), None);
    }
}
