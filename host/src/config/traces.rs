//! `[traces]`: where spans are sent.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::scalars::Plain;
use super::{Duration, Setting};

/// Where traces are sent, with OTLP over HTTP: handshakes, calls, statements and published messages. Without this table
/// there are none, and they cost nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// The address of a collector, with its path. One with `https://` has a certificate of a public authority.
    pub endpoint: String,
    /// How many connections are traced, such as `"1%"`, `"0.1%"` or `"100%"`. What is traced of a connection is its handshake and
    /// all of its calls.
    pub sample: Sample,
    /// Let the header field `traceparent` of any client decide whether its connection is traced. Without it, only that of
    /// `trusted_proxies` decides, because a client could have everything traced. Its trace is continued in any case.
    pub follow_clients: bool,
    /// Header fields that are sent to the collector, such as `authorization`. `${VARIABLE}` is filled in.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    pub headers: BTreeMap<String, Setting>,
    /// The name of this service in the traces.
    pub service_name: String,
    /// Spans that wait to be sent, each of which needs up to 4 KiB of memory. More are left out: calls never wait for a
    /// collector.
    pub queued_spans: usize,
    /// How long the collector may take to answer, and how long the host waits for it at its end.
    pub timeout: Duration,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:4318/v1/traces".to_owned(),
            sample: Sample(1.0),
            follow_clients: false,
            headers: BTreeMap::new(),
            service_name: "hassock".to_owned(),
            queued_spans: 4096,
            timeout: Duration::from_secs(5),
        }
    }
}

/// A share in percent: from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample(f64);

/// Why a text is not a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share; write it as \"1%\", \"0.1%\" or \"100%\"")]
pub struct NotASample(String);

impl Sample {
    /// Whether something with this number, which is any number, is one of the share. The same number always is, or is not.
    pub fn includes(self, number: u64) -> bool {
        // The upper half of a number is as random as the whole, and fits a float.
        self.0 / 100.0 * f64::from(u32::MAX) + f64::from(self.0 >= 100.0) > f64::from((number >> 32) as u32)
    }
}

impl FromStr for Sample {
    type Err = NotASample;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
        number.filter(|percent| (0.0..=100.0).contains(percent)).map(Self).ok_or_else(|| NotASample(text.to_owned()))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}%", self.0)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Sample {
        text.parse().unwrap()
    }

    #[test]
    fn a_share_is_nothing_everything_or_between() {
        for text in ["1", "101%", "-1%", "x%", "%", "NaN%"] {
            assert_eq!(text.parse::<Sample>(), Err(NotASample(text.to_owned())));
        }
        assert_eq!(sample("0.50%").to_string(), "0.5%");
        for number in [0, 1 << 32, u64::MAX] {
            assert!(sample("100%").includes(number) && !sample("0%").includes(number), "{number}");
        }
        let of = |text: &str| (0..1000).filter(|number| sample(text).includes(number << 54)).count();
        assert_eq!((of("50%"), of("10%"), of("0.1%")), (512, 103, 2));
    }
}
