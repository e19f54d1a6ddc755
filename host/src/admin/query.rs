//! The query parameters that each path takes. A parameter that a path does not know is refused: a misspelt
//! `canary` must not deploy to all connections.

use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use super::error::ApiError;
use crate::app::MAX_MESSAGE_ID;
use crate::config::Share;
use crate::deploy::{Pin, Rollout};

/// The longest time of a pin. A sum of times must not overflow.
const LONGEST_PIN: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The maximum length of a topic's name in bytes.
const MAX_TOPIC: usize = 256;

/// A path without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// `POST /v1/apps/APP/versions`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployQuery {
    /// The share of connections that get the version; without it, all get it.
    #[serde(default, deserialize_with = "canary")]
    canary: Option<Share>,
}

impl DeployQuery {
    pub(super) fn rollout(self) -> Rollout {
        self.canary.map_or(Rollout::Full, Rollout::Canary)
    }
}

/// `POST /v1/apps/APP/pin`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PinQuery {
    /// How long connections keep their version; without it, the config's `pin_for`.
    #[serde(default, rename = "for", deserialize_with = "pin_time")]
    time: Option<Duration>,
    /// Ends a pin. It is given as a name without a value.
    #[serde(default, deserialize_with = "flag")]
    off: bool,
}

impl PinQuery {
    /// # Errors
    /// If both parameters are given.
    pub(super) fn pin(self) -> Result<Pin, ApiError> {
        match (self.time, self.off) {
            (None, false) => Ok(Pin::Default),
            (None, true) => Ok(Pin::Off),
            (Some(time), false) => Ok(Pin::For(time)),
            (Some(_), true) => Err(ApiError::Parameter("`for` and `off` exclude each other".to_owned())),
        }
    }
}

/// `POST /v1/apps/APP/record`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordQuery {
    /// How many connections to record.
    #[serde(default = "one", deserialize_with = "connections")]
    pub(super) connections: usize,
}

/// `POST /v1/apps/APP/publish`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    /// The topic.
    #[serde(deserialize_with = "topic")]
    pub(super) topic: String,
    /// The message is binary, and not a text. It is given as a name without a value.
    #[serde(default, deserialize_with = "binary")]
    pub(super) binary: bool,
    /// Names the message, so that it is published once.
    #[serde(default, deserialize_with = "message_id")]
    pub(super) id: Option<String>,
}

/// `GET /v1/apps/APP/tail`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TailQuery {
    /// The topic.
    #[serde(deserialize_with = "topic")]
    pub(super) topic: String,
}

/// The parameters of a request.
///
/// # Errors
/// If one is unknown, malformed or given twice.
pub(super) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    T::deserialize(MapDeserializer::new(parameters)).map_err(|error| ApiError::Parameter(describe(&error)))
}

/// Serde calls a parameter a field.
fn describe(error: &Error) -> String {
    let message = error.to_string();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        format!("unknown parameter {}", rest.replace(", there are no fields", "; this path takes none"))
    } else if let Some(name) = message.strip_prefix("duplicate field ") {
        format!("the parameter {name} is given twice")
    } else {
        message
    }
}

fn canary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Share>, D::Error> {
    let share = String::deserialize(deserializer)?.parse();
    share.map(Some).map_err(|error| D::Error::custom(format!("`canary`: {error}; in a URL, % is %25")))
}

fn pin_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(time) if !time.is_zero() && time <= LONGEST_PIN => Ok(Some(time)),
        Ok(_) => Err(D::Error::custom("`for` must be longer than zero and at most a year")),
        Err(_) => {
            Err(D::Error::custom(format!("`for`: `{text}` is not a time span; write \"30s\", \"10m\" or \"2h\"")))
        }
    }
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    is_there(deserializer, "off")
}

fn binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    is_there(deserializer, "binary")
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D, name: &str) -> Result<bool, D::Error> {
    match String::deserialize(deserializer)?.is_empty() {
        true => Ok(true),
        false => Err(D::Error::custom(format!("`{name}` takes no value"))),
    }
}

fn topic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let topic = String::deserialize(deserializer)?;
    match (1..=MAX_TOPIC).contains(&topic.len()) {
        true => Ok(topic),
        false => Err(D::Error::custom(format!("`topic` has 1 to {MAX_TOPIC} bytes, and not {}", topic.len()))),
    }
}

fn message_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id = String::deserialize(deserializer)?;
    match (1..=MAX_MESSAGE_ID).contains(&id.len()) {
        true => Ok(Some(id)),
        false => Err(D::Error::custom(format!("`id` has 1 to {MAX_MESSAGE_ID} bytes, and not {}", id.len()))),
    }
}

fn one() -> usize {
    1
}

fn connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match String::deserialize(deserializer)?.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(D::Error::custom("`connections` is the number of connections to record, at least 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
        read(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn a_rollout_is_read_strictly() {
        let rollout = |text| query::<DeployQuery>(text).map(DeployQuery::rollout);
        assert_eq!(rollout("").unwrap(), Rollout::Full);
        // People write the second form, and it has no other meaning.
        for text in ["canary=2.5%25", "canary=2.5%"] {
            assert_eq!(rollout(text).unwrap(), Rollout::Canary("2.5%".parse().unwrap()));
        }
        for text in ["canary=", "canary=10", "canary=0%25", "cannary=10%25", "canary=1%25&canary=2%25"] {
            assert!(rollout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pin_is_read_strictly() {
        let pin = |text| query::<PinQuery>(text).and_then(PinQuery::pin);
        assert_eq!(pin("").unwrap(), Pin::Default);
        assert_eq!(pin("off").unwrap(), Pin::Off);
        assert_eq!(pin("for=1h%2030m").unwrap(), Pin::For(Duration::from_secs(5400)));
        for text in ["for=10m&off", "off=no", "for=", "for=0s", "for=2y", "for=long", "four=10m"] {
            assert!(pin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_number_of_connections_is_read_strictly() {
        let connections = |text| query::<RecordQuery>(text).map(|query| query.connections);
        assert_eq!((connections("").unwrap(), connections("connections=12").unwrap()), (1, 12));
        for text in ["connections=0", "connections=-1", "connections=", "connections=all", "connection=1"] {
            assert!(connections(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_is_read_strictly() {
        let message = query::<PublishQuery>("topic=a%2Fb&binary&id=7").unwrap();
        assert_eq!((message.topic.as_str(), message.binary, message.id.as_deref()), ("a/b", true, Some("7")));
        assert!(!query::<PublishQuery>("topic=a").unwrap().binary);
        assert_eq!(query::<TailQuery>("topic=a").unwrap().topic, "a");
        let (long_topic, long_id) = ("x".repeat(257), "x".repeat(129));
        for text in ["", "topic=", "topic=a&id=", "topic=a&binary=yes", "topic=a&topic=b", "topic=a&bin"] {
            assert!(query::<PublishQuery>(text).is_err(), "{text}");
        }
        assert!(query::<TailQuery>(&format!("topic={long_topic}")).is_err());
        assert!(query::<PublishQuery>(&format!("topic=a&id={long_id}")).is_err());
    }

    #[test]
    fn an_error_names_the_parameter() {
        for (text, expected) in [
            ("cannary=10%25", "unknown parameter `cannary`, expected `canary`"),
            ("canary=1%25&canary=2%25", "the parameter `canary` is given twice"),
        ] {
            assert_eq!(query::<DeployQuery>(text).unwrap_err().to_string(), expected);
        }
        let error = query::<NoParameters>("now").unwrap_err();
        assert_eq!(error.to_string(), "unknown parameter `now`; this path takes none");
        query::<NoParameters>("").unwrap();
    }
}
