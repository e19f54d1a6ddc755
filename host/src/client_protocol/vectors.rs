//! The messages of `host/client/vectors.json`, which the tests of the client library read too: what the host writes is what they
//! say, and it reads what clients write.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hassock_frames::{Encoded, Payload};
use serde::Deserialize;
use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../client/vectors.json");

#[derive(Deserialize)]
struct Vectors {
    messages: Vec<Vector>,
    offers: Vec<OfferVector>,
}

#[derive(Deserialize)]
struct Vector {
    from: String,
    header: Value,
    payload: Content,
    message: Content,
}

#[derive(Deserialize)]
struct OfferVector {
    #[serde(flatten)]
    state: ClientState,
    protocols: Vec<String>,
    offered: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Binary { base64: String },
}

impl Content {
    /// A text, or bytes.
    fn read(&self) -> (Option<&str>, Vec<u8>) {
        match self {
            Self::Text(text) => (Some(text), text.clone().into_bytes()),
            Self::Binary { base64 } => (None, BASE64_STANDARD.decode(base64).unwrap()),
        }
    }

    fn with<T>(&self, f: impl FnOnce(Payload<'_>) -> T) -> T {
        match self.read() {
            (Some(text), _) => f(Payload::text(text)),
            (None, bytes) => f(Payload::binary(&bytes)),
        }
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

fn position(value: &Value) -> Option<Position> {
    value.as_str().map(|text| text.parse().unwrap())
}

fn gap(value: &Value) -> Option<Gap> {
    value.as_str().map(|name| Gap::ALL.into_iter().find(|gap| gap.name() == name).unwrap())
}

fn members(value: &Value) -> Option<Vec<Member>> {
    let member = |value: &Value| Member {
        connection: value["connection"].as_u64().unwrap(),
        data: value["data"].as_str().map(str::to_owned),
    };
    value.as_array().map(|members| members.iter().map(member).collect())
}

fn presence(header: &Value) -> String {
    let left = header["left"].as_array().map(|left| left.iter().map(|id| id.as_u64().unwrap()).collect::<Vec<_>>());
    let message = ToClient::Presence {
        topic: header["topic"].as_str().unwrap(),
        count: usize::try_from(header["count"].as_u64().unwrap()).unwrap(),
        members: members(&header["members"]).as_deref(),
        joined: members(&header["joined"]).as_deref(),
        left: left.as_deref(),
    }
    .encoded();
    message.as_text().unwrap().to_owned()
}

/// The header that the host writes for this one.
fn header(header: &Value) -> String {
    let text = |name: &str| header[name].as_str();
    let topic = text("topic").unwrap_or_default();
    let request = header["request"].as_u64();
    let is = |name: &str| header[name].as_bool().unwrap();
    let message = match text("type") {
        None if header.is_null() => return String::from_utf8(PLAIN.to_vec()).unwrap(),
        None => return topic_header(topic, position(&header["position"]), text("id")),
        Some("connected") => ToClient::Connected {
            connection: header["connection"].as_u64().unwrap(),
            heartbeat: header["heartbeat"].as_u64().unwrap(),
            subprotocol: text("subprotocol"),
            expires: header["expires"].as_u64(),
            resume: text("resume").map(|token| token.parse().unwrap()),
            resumed: header["resumed"].as_bool(),
            received: header["received"].as_u64(),
        },
        Some("token") => ToClient::Token { request: request.unwrap(), expires: header["expires"].as_u64() },
        Some("subscribed") => ToClient::Subscribed {
            topic,
            request,
            position: position(&header["position"]),
            was_recovering: is("was_recovering"),
            recovered: is("recovered"),
            gap: gap(&header["gap"]),
        },
        Some("unsubscribed") => ToClient::Unsubscribed { topic },
        Some("gap") => ToClient::Gap { topic, gap: gap(&header["gap"]).unwrap() },
        Some("presence") => return presence(header),
        Some("position") => ToClient::Position { topic, position: position(&header["position"]).unwrap() },
        Some("reply") => ToClient::Reply { request: request.unwrap() },
        Some("error") => {
            let code =
                ["refused", "closing", "invalid-token"].into_iter().find(|code| text("code") == Some(code)).unwrap();
            ToClient::Error { request: request.unwrap(), code, message: text("message").unwrap() }
        }
        Some("heartbeat") => ToClient::Heartbeat { received: header["received"].as_u64() },
        Some("closing") => ToClient::Closing { reconnect: is("reconnect"), after: header["after"].as_u64().unwrap() },
        Some(other) => panic!("{other} is not a message of the host"),
    };
    message.encoded().as_text().unwrap().to_owned()
}

/// What the host reads of a message of a client.
fn control(header: &Value) -> Control {
    let topic = header["topic"].as_str().unwrap_or_default().to_owned();
    let request = header["request"].as_u64().unwrap_or_default();
    match header["type"].as_str().unwrap() {
        "subscribe" => {
            let last = header["last"].as_u64().map(|last| u32::try_from(last).unwrap());
            Control::Subscribe { request, topic, since: position(&header["since"]), last }
        }
        "unsubscribe" => Control::Unsubscribe { topic },
        "request" => Control::Request { request },
        "token" => Control::Token { request, token: header["token"].as_str().unwrap().into() },
        "heartbeat" => Control::Heartbeat {
            received: header["received"].as_u64(),
            reply: header["reply"].as_bool().unwrap_or_default(),
        },
        other => panic!("{other} is not a message of a client"),
    }
}

#[test]
fn the_host_writes_its_messages() {
    let messages = vectors().messages;
    let own = messages.iter().filter(|vector| vector.from == "host");
    let mut count = 0;
    for Vector { header: expected, payload, message, .. } in own {
        let header = header(expected);
        let written: Encoded =
            payload.with(|payload| Encoded::messages(std::iter::once(payload)).with_header(header.as_bytes()));
        let (text, bytes) = message.read();
        assert_eq!(written.as_text(), text, "{expected}");
        assert!(written.as_bytes().ends_with(&bytes), "{expected}");
        count += 1;
    }
    assert!(count > 15);
}

#[test]
fn the_host_reads_those_of_clients() {
    let messages = vectors().messages;
    let of_clients = messages.iter().filter(|vector| vector.from == "client");
    let mut count = 0;
    for Vector { header, payload, message, .. } in of_clients {
        payload.with(|payload| {
            let expected = match header.is_null() {
                true => FromClient::Message(payload),
                false => FromClient::Control(control(header), payload),
            };
            message.with(|message| assert_eq!(parse(message), Ok(expected), "{header}"));
        });
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn the_host_reads_what_clients_offer() {
    for OfferVector { state, protocols, offered: offer } in vectors().offers {
        let expected = Offer { subprotocols: protocols, state: Some(state) };
        assert_eq!(offered(offer), Ok(expected));
    }
}
