//! What the host says.

use hassock_frames::{Encoded, Payload};
use serde::Serialize;

use super::{Position, ResumeToken};

/// Why messages of a topic are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// More messages came than `history` keeps.
    Count,
    /// They were older than `keep`.
    Age,
    /// They had more bytes than `history_bytes` of the topic or of the app, or than the host had memory for.
    Bytes,
    /// The position is of another run of the host, which has lost its history.
    Restart,
    /// The topic keeps no history.
    None,
}

impl Gap {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Count, Self::Age, Self::Bytes, Self::Restart, Self::None];

    /// The name in the protocol and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::Restart => "restart",
            Self::None => "none",
        }
    }
}

/// A member of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The id of its connection.
    pub connection: u64,
    /// What the module says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// A message of the host itself.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum ToClient<'a> {
    /// The first message of a connection.
    Connected {
        connection: u64,
        /// Milliseconds in which the host says something, if nothing else then a heartbeat.
        heartbeat: u64,
        /// The subprotocol that the module chose.
        #[serde(skip_serializing_if = "Option::is_none")]
        subprotocol: Option<&'a str>,
        /// Milliseconds until the client's token expires, if it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<u64>,
        /// With this the client can have the connection again.
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<ResumeToken>,
        /// Whether this is the connection that the client had before. None if it has not asked for that.
        #[serde(skip_serializing_if = "Option::is_none")]
        resumed: Option<bool>,
        /// How many messages of the client were handled, if this is the connection that it had before.
        #[serde(skip_serializing_if = "Option::is_none")]
        received: Option<u64>,
    },
    /// The token is accepted, and is used from now on.
    Token {
        request: u64,
        /// Milliseconds until it expires, if it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<u64>,
    },
    /// The connection is subscribed. What was missed comes next.
    Subscribed {
        topic: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<u64>,
        /// The position that the client has before the messages that follow. None if the topic has no history.
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<Position>,
        /// Whether the client gave a position.
        was_recovering: bool,
        /// Whether every message after that position follows.
        recovered: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        gap: Option<Gap>,
    },
    /// The subscription has ended, because the client asked for it.
    Unsubscribed { topic: &'a str },
    /// Messages are missing here: they were dropped before the client had read them.
    Gap { topic: &'a str, gap: Gap },
    /// The client has everything up to here, although it did not get the message: it was excepted.
    Position { topic: &'a str, position: Position },
    /// Who is subscribed to a topic: all of them, or what has changed (first who left, then who joined), or only how many.
    Presence {
        topic: &'a str,
        count: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<&'a [Member]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        joined: Option<&'a [Member]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<&'a [u64]>,
    },
    /// The answer of the module is the payload.
    Reply { request: u64 },
    /// What the client asked for is refused.
    Error {
        request: u64,
        /// One of the protocol's names.
        code: &'static str,
        /// For people.
        message: &'a str,
    },
    /// The host is there.
    Heartbeat {
        /// How many messages of the client were handled, if it can have the connection again.
        #[serde(skip_serializing_if = "Option::is_none")]
        received: Option<u64>,
    },
    /// The connection is about to be closed.
    Closing {
        /// Whether the client should connect again.
        reconnect: bool,
        /// Milliseconds that it should wait before that.
        after: u64,
    },
}

impl ToClient<'_> {
    /// The message without a payload.
    pub(crate) fn encoded(&self) -> Encoded {
        Encoded::text(&self.header())
    }

    /// The message with a payload.
    pub(crate) fn with(&self, payload: Payload<'_>) -> Encoded {
        Encoded::messages(std::iter::once(payload)).with_header(self.header().as_bytes())
    }

    fn header(&self) -> String {
        // Nothing here can fail to be written.
        let mut header = serde_json::to_string(self).unwrap_or_default();
        header.push('\n');
        header
    }
}

/// The header of a message that was published.
#[derive(Serialize)]
struct Published<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

/// The header of a message that was published.
pub(crate) fn topic_header(topic: &str, position: Option<Position>, id: Option<&str>) -> String {
    let mut header = serde_json::to_string(&Published { topic, position, id }).unwrap_or_default();
    header.push('\n');
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_whatever_is_in_it() {
        let header = topic_header("a\n\"b\u{2028}", Some(Position { epoch: 255, offset: 7 }), Some("x\r\n"));
        assert_eq!(header, "{\"topic\":\"a\\n\\\"b\u{2028}\",\"position\":\"ff-7\",\"id\":\"x\\r\\n\"}\n");
        assert_eq!(topic_header("t", None, None), "{\"topic\":\"t\"}\n");
    }

    #[test]
    fn messages_of_the_host_are_as_the_book_has_them() {
        let gap = ToClient::Gap { topic: "room", gap: Gap::Count };
        assert_eq!(gap.encoded().as_text(), Some("{\"type\":\"gap\",\"topic\":\"room\",\"gap\":\"count\"}\n"));
        let reply = ToClient::Reply { request: 7 }.with(Payload::text("yes"));
        assert_eq!(reply.as_text(), Some("{\"type\":\"reply\",\"request\":7}\nyes"));
        for gap in Gap::ALL {
            assert_eq!(serde_json::to_string(&gap).unwrap(), format!("\"{}\"", gap.name()));
        }
    }
}
