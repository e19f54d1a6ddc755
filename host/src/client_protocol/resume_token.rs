//! What a client keeps to have its connection again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The token of a connection, which only its client knows. A client does not look into it: it is the id of the connection in
/// decimal digits, a dash, and a secret in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResumeToken {
    /// The id of the connection.
    pub(crate) connection: u64,
    /// Who knows it is the client.
    pub(crate) secret: u128,
}

/// A text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`resume` is what the host has sent as `resume`")]
pub(crate) struct NotAToken;

impl fmt::Display for ResumeToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:032x}", self.connection, self.secret)
    }
}

impl fmt::Debug for ResumeToken {
    /// Without the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ResumeToken").field(&self.connection).finish()
    }
}

impl FromStr for ResumeToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let (connection, secret) = text.split_once('-').filter(|_| is_plain).ok_or(NotAToken)?;
        let connection = connection.parse().map_err(|_| NotAToken)?;
        let secret = u128::from_str_radix(secret, 16).map_err(|_| NotAToken)?;
        Ok(Self { connection, secret })
    }
}

impl Serialize for ResumeToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResumeToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_its_secret_is_not_shown() {
        let token = ResumeToken { connection: 17, secret: 0xabc };
        assert_eq!(token.to_string(), "17-00000000000000000000000000000abc");
        assert_eq!(token.to_string().parse(), Ok(token));
        assert_eq!(format!("{token:?}"), "ResumeToken(17)");
        for text in ["", "-", "17", "17-", "-ab", "17-xyz", "+1-ab", "17-+ab", "1-2-3", &"1".repeat(90)] {
            assert_eq!(text.parse::<ResumeToken>(), Err(NotAToken), "{text}");
        }
    }
}
