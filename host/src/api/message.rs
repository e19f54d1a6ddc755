//! The message in a request: a text, a JSON value that is sent as text, or bytes in base64.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hassock_frames::Payload;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::error::{ApiError, Code};

/// Base64 with padding (RFC 4648, section 4). Some encoders do not clear the bits after the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes in base64 with padding (RFC 4648, section 4).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(
    value_type = String,
    pattern = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    example = "aGVsbG8="
)]
pub(super) struct Base64(String);

/// A message to send.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Binary(Vec<u8>),
}

impl Content {
    /// The one of the three forms that a request has.
    ///
    /// # Errors
    /// If there is none or several, or the text is not base64.
    pub(super) fn read(
        text: Option<String>,
        json: Option<Box<RawValue>>,
        base64: Option<Base64>,
    ) -> Result<Self, ApiError> {
        let invalid = |message: &str| ApiError::new(Code::BodyInvalid, message);
        match (text, json, base64) {
            (Some(text), None, None) => Ok(Self::Text(text)),
            // As it was written, with its spaces and all digits of its numbers.
            (None, Some(json), None) => Ok(Self::Text(String::from(Box::<str>::from(json)))),
            (None, None, Some(Base64(base64))) => {
                let malformed = |_| invalid("`base64` is not base64 with padding (RFC 4648, section 4)");
                BASE64.decode(base64).map(Self::Binary).map_err(malformed)
            }
            (None, None, None) => Err(invalid("there is no message; give one of `text`, `json` and `base64`")),
            _ => Err(invalid("give only one of `text`, `json` and `base64`")),
        }
    }

    /// The message for a connection.
    pub(super) fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload::text(text),
            Self::Binary(bytes) => Payload::binary(bytes),
        }
    }
}

/// Read a field that may be absent, but not null: it would mean nothing, and in `json` it is a message.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use utoipa::PartialSchema;

    use super::*;

    fn decoded(base64: &str) -> Option<Vec<u8>> {
        match Content::read(None, None, Some(Base64(base64.to_owned()))) {
            Ok(Content::Binary(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The document says exactly what is accepted.
    #[test]
    fn the_pattern_of_base64_is_true() {
        let schema = serde_json::to_value(Base64::schema()).unwrap();
        let pattern = Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
        let known =
            [("", &b""[..]), ("AA==", b"\0"), ("aGk=", b"hi"), ("aGlo", b"hih"), ("AB==", b"\0"), ("aGm=", b"hi")];
        for (text, bytes) in known {
            assert!(pattern.is_match(text));
            assert_eq!(decoded(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["A", "AA", "AA=", "AAA", "A===", "====", "aGk=\n", "aG k=", "aGk=aGk=", "_-==", "ä"] {
            assert!(!pattern.is_match(text) && decoded(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn json_is_sent_as_it_was_written() {
        let json = |text: &str| serde_json::from_str::<Box<RawValue>>(text).unwrap();
        for text in ["{ \"a\" : 1e400 }", "null", "0.10", "\"x\""] {
            let Ok(Content::Text(sent)) = Content::read(None, Some(json(text)), None) else { panic!("{text}") };
            assert_eq!(sent, text);
        }
        assert!(Content::read(Some(String::new()), Some(json("1")), None).is_err());
        assert!(Content::read(None, None, None).is_err());
    }
}
