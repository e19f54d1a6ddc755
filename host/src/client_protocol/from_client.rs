//! What a client says.

use hassock_frames::Payload;
use memchr::memchr;
use serde::Deserialize;

use super::{ClientToken, Position};

/// The longest header of a message from a client, in bytes: a token has at most 12 KiB. A name of a topic has at most 256, each of
/// which may be written as six.
const MAX_HEADER: usize = 16 << 10;

/// A message from a client.
#[derive(Debug, PartialEq)]
pub(crate) enum FromClient<'a> {
    /// It is for the module.
    Message(Payload<'a>),
    /// It is for the host, perhaps with a payload for the module.
    Control(Control, Payload<'a>),
}

/// What a client asks the host for.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Control {
    /// Subscribe the connection, if the module allows it.
    Subscribe {
        /// The client's number for the answer.
        request: u64,
        topic: String,
        /// The position up to which the client has the messages.
        since: Option<Position>,
        /// How many of the last messages the client wants, without a position.
        last: Option<u32>,
    },
    /// End a subscription.
    Unsubscribe { topic: String },
    /// Ask the module, which answers the payload.
    Request {
        /// The client's number for the answer.
        request: u64,
    },
    /// Use another token from now on.
    Token {
        /// The client's number for the answer.
        request: u64,
        token: ClientToken,
    },
    /// The client is there.
    Heartbeat {
        /// How many messages the client has received on this connection.
        received: Option<u64>,
        /// Whether the client waits for one of the host.
        #[serde(default)]
        reply: bool,
    },
    /// Something of a later version of the protocol.
    #[serde(other)]
    Other,
}

/// Why a message is not one of the protocol. The text is for the developer of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOfTheProtocol {
    #[error("hassock.v1: a message begins with a header and a line feed")]
    NoHeader,
    #[error("hassock.v1: the header is too long")]
    LongHeader,
    #[error("hassock.v1: the header is not understood")]
    Header,
}

/// Read a message.
///
/// # Errors
/// If its header is missing or not understood.
pub(crate) fn parse(message: Payload<'_>) -> Result<FromClient<'_>, NotOfTheProtocol> {
    let end = memchr(b'\n', message.as_bytes()).ok_or(NotOfTheProtocol::NoHeader)?;
    let (header, payload) = message.split_at(end + 1).ok_or(NotOfTheProtocol::NoHeader)?;
    if end == 0 {
        return Ok(FromClient::Message(payload));
    }
    if end > MAX_HEADER {
        return Err(NotOfTheProtocol::LongHeader);
    }
    let control = serde_json::from_slice(header).map_err(|_| NotOfTheProtocol::Header)?;
    Ok(FromClient::Control(control, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(text: &str) -> Control {
        match parse(Payload::text(text)) {
            Ok(FromClient::Control(control, _)) => control,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_has_a_header_and_a_payload() {
        assert_eq!(parse(Payload::text("\nhello\n")), Ok(FromClient::Message(Payload::text("hello\n"))));
        assert_eq!(parse(Payload::binary(b"\n\xff")), Ok(FromClient::Message(Payload::binary(b"\xff"))));
        let request = parse(Payload::binary(b"{\"type\":\"request\",\"request\":7}\n\xff"));
        assert_eq!(request, Ok(FromClient::Control(Control::Request { request: 7 }, Payload::binary(b"\xff"))));
    }

    #[test]
    fn what_is_not_known_yet_is_no_error() {
        assert_eq!(control("{\"type\":\"dance\",\"speed\":1}\n"), Control::Other);
        let heartbeat = Control::Heartbeat { received: None, reply: false };
        assert_eq!(control("{\"type\":\"heartbeat\",\"new\":[1]}\n"), heartbeat);
    }

    #[test]
    fn a_subscription_may_begin_in_the_past() {
        let text = "{\"type\":\"subscribe\",\"request\":1,\"topic\":\"room\",\"since\":\"a-1\"}\n";
        let since = Some(Position { epoch: 10, offset: 1 });
        assert_eq!(control(text), Control::Subscribe { request: 1, topic: "room".into(), since, last: None });
    }

    #[test]
    fn other_messages_are_refused() {
        let long = format!("{{\"type\":\"unsubscribe\",\"topic\":\"{}\"}}\n", "x".repeat(17_000));
        for (text, error) in [
            ("", NotOfTheProtocol::NoHeader),
            ("hello", NotOfTheProtocol::NoHeader),
            ("hello\n", NotOfTheProtocol::Header),
            ("{}\n", NotOfTheProtocol::Header),
            ("[]\n", NotOfTheProtocol::Header),
            ("{\"type\":\"subscribe\"}\n", NotOfTheProtocol::Header),
            ("{\"type\":\"subscribe\",\"request\":1,\"topic\":\"a\",\"since\":\"b\"}\n", NotOfTheProtocol::Header),
            (&long, NotOfTheProtocol::LongHeader),
        ] {
            assert_eq!(parse(Payload::text(text)), Err(error), "{text}");
        }
    }
}
