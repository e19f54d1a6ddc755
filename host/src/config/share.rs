//! A share of connections or calls, such as `10%`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// Hundredths of a percent of everything.
const WHOLE: u32 = 10_000;

/// A share: more than nothing and less than everything, exact to a hundredth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

/// Why a text is not a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share; write it as \"10%\" or \"2.5%\", more than 0% and less than 100%")]
pub struct NotAShare(String);

impl Share {
    /// So many percent: 1 to 99.
    pub const fn percent(percent: u32) -> Self {
        Self(percent * (WHOLE / 100))
    }

    /// The share in percent.
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Whether a connection is one of the share. The same connection always is, or is not, and one that is
    /// in a share is also in each larger one.
    pub fn includes(self, connection: u64) -> bool {
        // What is left of a mixed 64-bit number is uniform to one part in 10^15.
        mix(connection) % u64::from(WHOLE) < u64::from(self.0)
    }

    /// Whether `part` of `all` is more than this share.
    pub fn is_exceeded_by(self, part: u64, all: u64) -> bool {
        part.saturating_mul(u64::from(WHOLE)) > all.saturating_mul(u64::from(self.0))
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): ids that follow each other land far apart.
fn mix(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let refused = || NotAShare(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(refused)?.trim_end();
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent: f64 = number.parse().ok().filter(|_| is_plain).ok_or_else(refused)?;
        let share = (percent * 100.0).round();
        // Checked as a number first: what does not fit would be cut to what does.
        if share >= 1.0 && share < f64::from(WHOLE) { Ok(Self(share as u32)) } else { Err(refused()) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.as_percent())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_shown() {
        for (text, shown) in [("10%", "10%"), (" 2.5 %", "2.5%"), ("99.99%", "99.99%"), ("0.01%", "0.01%")] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), shown);
        }
        for text in ["10", "0%", "0.001%", "100%", "-5%", "1e1%", "ten%", "%", "NaN%", "inf%"] {
            assert!(text.parse::<Share>().unwrap_err().to_string().contains(text), "{text}");
        }
    }

    /// Over 10,000 connections in a row, each share is met within two points.
    #[test]
    fn a_share_is_as_large_as_it_says() {
        for percent in [1, 10, 33, 50, 90] {
            for first in [1, 1_000_000, 1 << 50] {
                let chosen = (first..first + 10_000).filter(|id| Share::percent(percent).includes(*id)).count();
                let off = (chosen as f64 / 100.0 - f64::from(percent)).abs();
                assert!(off < 2.0, "{percent}% of 10,000 from {first} are {chosen}");
            }
        }
    }

    #[test]
    fn a_connection_in_a_share_is_in_each_larger_one() {
        for id in 1..1000 {
            let smallest = (1..100).find(|percent| Share::percent(*percent).includes(id));
            assert!((smallest.unwrap_or(100)..100).all(|percent| Share::percent(percent).includes(id)));
        }
    }

    #[test]
    fn a_share_is_exceeded_only_beyond_it() {
        let tenth = Share::percent(10);
        assert!(!tenth.is_exceeded_by(2, 20));
        assert!(tenth.is_exceeded_by(3, 20));
        assert!(!tenth.is_exceeded_by(0, 0));
    }
}
