//! How a connection is closed: the code and the reason, as a request gives them.

use serde::{Deserialize, Deserializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::error::ApiError;
use super::guard::Caller;
use super::message::present;
use super::names::ConnectionId;
use super::numbers::whole;
use crate::app::connection::{MAX_REASON, is_allowed};

/// The close code of a close that names none: normal closure.
const NORMAL: u16 = 1000;

/// The codes that may be sent, from and to.
const CODES: [(u16, u16); 4] = [(1000, 1001), (1003, 1003), (1007, 1014), (3000, 4999)];

/// How to close a connection.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Close {
    /// The close code. Without it: 1000.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) code: Option<CloseCode>,
    /// Tells the client why.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) reason: Option<CloseReason>,
}

/// A close code: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloseCode(u16);

/// The reason of a close: at most 123 bytes of UTF-8.
#[derive(Debug, Clone, ToSchema)]
#[schema(value_type = String, max_length = 123, example = "you were signed out")]
pub(super) struct CloseReason(String);

impl Close {
    /// Close a connection so.
    ///
    /// # Errors
    /// If it cannot be closed so.
    pub(super) fn carry_out(&self, caller: &Caller, id: ConnectionId) -> Result<(), ApiError> {
        let reason = self.reason.as_ref().map(|reason| reason.0.as_str()).unwrap_or_default();
        Ok(caller.app.close(id.get(), self.code.map_or(NORMAL, |code| code.0), reason)?)
    }
}

impl<'de> Deserialize<'de> for CloseCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u16::try_from(whole(deserializer)?).ok().filter(|code| is_allowed(*code));
        code.map(Self)
            .ok_or_else(|| de::Error::custom("a close code is 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999"))
    }
}

impl PartialSchema for CloseCode {
    fn schema() -> RefOr<Schema> {
        let range = |(least, most): (u16, u16)| {
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most)).build()
        };
        let ranges = CODES.map(range).into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
        let description = "A close code: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999.";
        RefOr::T(Schema::AnyOf(ranges.description(Some(description)).build()))
    }
}

impl ToSchema for CloseCode {}

impl<'de> Deserialize<'de> for CloseReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reason = String::deserialize(deserializer)?;
        // JSON Schema counts characters. Those with more bytes than that are found when the connection is closed.
        match reason.chars().count() <= MAX_REASON {
            true => Ok(Self(reason)),
            false => Err(de::Error::custom(format_args!("the reason of a close has at most {MAX_REASON} bytes"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_codes_that_may_be_sent() {
        let listed = |code| CODES.iter().any(|(least, most)| (*least..=*most).contains(&code));
        assert!((0..=u16::MAX).all(|code| listed(code) == is_allowed(code)));
        assert_eq!(serde_json::from_str::<CloseCode>("4001.0").unwrap().0, 4001);
        for text in ["1005", "1006", "999", "5000", "65537", "-1", "\"1000\""] {
            assert!(serde_json::from_str::<CloseCode>(text).is_err(), "{text}");
        }
    }
}
