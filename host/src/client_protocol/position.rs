//! A position: where a message is in the history of its topic.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The position of a message in a topic with history, written as `1b2f4c-1024`: the epoch in hexadecimal digits, and the
/// offset in decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Tells apart the runs of a host: what was published before it started is not kept. Less than 2^53.
    pub epoch: u64,
    /// Grows with each message of the app, so a topic has gaps between its offsets. Less than 2^53.
    pub offset: u64,
}

/// A text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is an epoch in hexadecimal digits, a dash and an offset, such as `1b2f4c-1024`")]
pub struct NotAPosition;

/// Larger numbers are not exact in JavaScript.
const MOST: u64 = 1 << 53;

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let (epoch, offset) = text.split_once('-').filter(|_| is_plain).ok_or(NotAPosition)?;
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| NotAPosition)?;
        let offset = offset.parse().map_err(|_| NotAPosition)?;
        if epoch >= MOST || offset >= MOST {
            return Err(NotAPosition);
        }
        Ok(Self { epoch, offset })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for (epoch, offset, text) in [(0, 0, "0-0"), (0x1b2f4c, 1024, "1b2f4c-1024"), (MOST - 1, MOST - 1, "")] {
            let position = Position { epoch, offset };
            assert_eq!(position.to_string().parse(), Ok(position));
            assert!(text.is_empty() || position.to_string() == text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "+1-2",
            "1-+2",
            "g-1",
            "1-a",
            "20000000000000-1",
            "1-99999999999999999999",
        ] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text}");
        }
    }
}
