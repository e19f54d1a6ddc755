//! What names something in a request: topics, connections, messages. The schemas say exactly what is accepted, as far as JSON
//! Schema can say it: it counts characters, and a topic's name has a number of bytes.

use axum::http::HeaderMap;
use serde::{Deserialize, Deserializer, de};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::numbers::whole;
use crate::app::MAX_MESSAGE_ID;
use crate::client_protocol::Position;

/// The maximum length of a topic's name in bytes, as in the rest of the host.
const MAX_TOPIC: usize = 256;

/// More digits than a host will ever need for an offset, and few enough for the pattern to be exact.
const MAX_OFFSET_DIGITS: usize = 15;

/// Ids stay below 2^53, so that they are exact in JavaScript.
const MAX_ID: u64 = (1 << 53) - 1;

/// The header field that names a message.
const KEY: &str = "Idempotency-Key";

/// The id of a connection, as the module knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u64, minimum = 0, maximum = 9_007_199_254_740_991_u64, example = 17)]
pub(super) struct ConnectionId(u64);

/// The id of a message: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[!-~]{1,128}$", example = "order-4711")]
pub(super) struct MessageId(String);

/// The position of a message in the history of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^1?[0-9a-f]{1,13}-[0-9]{1,15}$", example = "1b2f4c-1024")]
pub(super) struct PositionText(Position);

/// The name of a topic.
#[derive(Debug, Clone, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 256, example = "news")]
pub(super) struct TopicName(String);

/// The header field that names a message.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct MessageIdHeader {
    /// Names the message, as the field `id` of the body, which counts if both are there.
    #[param(rename = "Idempotency-Key", required = false, nullable = false)]
    key: Option<MessageId>,
}

impl ConnectionId {
    /// The number.
    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// The id in a path.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn of_path(text: &str) -> Result<Self, ApiError> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|id| is_number && *id <= MAX_ID);
        let malformed = || ApiError::new(Code::ParameterInvalid, format!("`{text}` is not the id of a connection"));
        id.map(Self).ok_or_else(malformed)
    }
}

impl PositionText {
    /// The position in a query. It is read strictly, as it is written.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn of_query(text: &str) -> Result<Position, ApiError> {
        let is_short = text.split_once('-').is_some_and(|(_, offset)| offset.len() <= MAX_OFFSET_DIGITS);
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let position = text.parse().ok().filter(|_| is_short && is_lower);
        let malformed = || {
            let message =
                format!("`since` is a position as the host writes it, such as `1b2f4c-1024`, and not `{text}`");
            ApiError::new(Code::ParameterInvalid, message)
        };
        position.ok_or_else(malformed)
    }
}

impl TopicName {
    /// The name of a topic in a path.
    ///
    /// # Errors
    /// If no topic can have it.
    pub(super) fn of_path(name: &str) -> Result<Self, ApiError> {
        let name = Self(name.to_owned());
        name.valid()?;
        Ok(name)
    }

    /// The name, if a topic can have it. JSON Schema counts characters, so a name with too many bytes is not malformed.
    ///
    /// # Errors
    /// If none can.
    pub(super) fn valid(&self) -> Result<&str, ApiError> {
        match (1..=MAX_TOPIC).contains(&self.0.len()) {
            true => Ok(&self.0),
            false => {
                let message = format!("a topic's name has 1 to {MAX_TOPIC} bytes, and this one has {}", self.0.len());
                Err(ApiError::new(Code::TopicInvalid, message))
            }
        }
    }
}

impl MessageId {
    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn new(text: &str) -> Option<Self> {
        let is_id = (1..=MAX_MESSAGE_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_id.then(|| Self(text.to_owned()))
    }
}

/// The id of a message, which is in the body or in the header.
///
/// # Errors
/// If the header is malformed.
pub(super) fn message_id(headers: &HeaderMap, body: Option<MessageId>) -> Result<Option<MessageId>, ApiError> {
    let mut fields = headers.get_all(KEY).iter();
    let Some(field) = fields.next() else { return Ok(body) };
    let id = field.to_str().ok().and_then(MessageId::new).filter(|_| fields.next().is_none());
    let malformed = || {
        let message = format!("`{KEY}` has 1 to {MAX_MESSAGE_ID} visible ASCII characters, and is given once");
        ApiError::new(Code::ParameterInvalid, message)
    };
    let id = id.ok_or_else(malformed)?;
    Ok(body.or(Some(id)))
}

/// Whether a request has few enough commands or topics.
///
/// # Errors
/// If it has more.
pub(super) fn few_enough(count: usize, most: usize) -> Result<(), ApiError> {
    match count <= most {
        true => Ok(()),
        false => {
            let message = format!("there are {count}, and at most `api.batch_commands` = {most} are allowed");
            Err(ApiError::new(Code::TooManyCommands, message))
        }
    }
}

impl<'de> Deserialize<'de> for TopicName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match (1..=MAX_TOPIC).contains(&name.chars().count()) {
            true => Ok(Self(name)),
            false => Err(de::Error::custom(format_args!("the name of a topic has 1 to {MAX_TOPIC} bytes"))),
        }
    }
}

impl<'de> Deserialize<'de> for ConnectionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = whole(deserializer)?;
        match id <= MAX_ID {
            true => Ok(Self(id)),
            false => Err(de::Error::custom("the id of a connection is less than 2^53")),
        }
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let malformed = || {
            de::Error::custom(format_args!("the id of a message has 1 to {MAX_MESSAGE_ID} visible ASCII characters"))
        };
        Self::new(&text).ok_or_else(malformed)
    }
}
