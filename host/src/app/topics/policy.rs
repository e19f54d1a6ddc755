//! Which topics have a history: the config's patterns, in the form in which names are looked up.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::Shape;
use crate::config::TopicConfig;

/// What the host does for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// How many messages are kept.
    pub(super) messages: usize,
    /// How many bytes are kept.
    pub(super) bytes: usize,
    /// For how long.
    pub(super) keep: Duration,
    /// Up to how many subscribers others are told who they are, if they are told at all.
    pub(super) presence: Option<usize>,
}

impl Policy {
    /// Whether messages are kept.
    pub(super) fn keeps(&self) -> bool {
        self.messages > 0
    }

    fn is_special(&self) -> bool {
        self.keeps() || self.presence.is_some()
    }
}

/// The policies of an app.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Policies {
    /// What each name begins with, the longest first, and whether the name ends there.
    patterns: Vec<(Box<str>, Extent, Policy)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Exact,
    Prefix,
}

impl Policies {
    pub(super) fn new(topics: &BTreeMap<String, TopicConfig>) -> Self {
        let mut patterns: Vec<_> = topics
            .iter()
            .map(|(pattern, config)| {
                let policy = Policy {
                    messages: config.history,
                    bytes: config.history_bytes.bytes(),
                    keep: config.keep.get(),
                    presence: config.presence.then_some(config.presence_members),
                };
                match pattern.strip_suffix('*') {
                    Some(prefix) => (prefix.into(), Extent::Prefix, policy),
                    None => (pattern.as_str().into(), Extent::Exact, policy),
                }
            })
            .collect();
        // An exact name is longer than its own beginning.
        patterns.sort_by_key(|(text, extent, _): &(Box<str>, Extent, Policy)| {
            std::cmp::Reverse((text.len(), *extent == Extent::Exact))
        });
        Self { patterns }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// A number that is another one if other topics have a history, or another one. It is the same on all hosts.
    fn fingerprint(&self) -> u64 {
        let kept = self.patterns.iter().filter(|(_, _, policy)| policy.keeps());
        let all: Vec<_> = kept
            .map(|(text, extent, policy)| format!("{text}{extent:?}{}/{:?}", policy.messages, policy.keep))
            .collect();
        let digest = ring::digest::digest(&ring::digest::SHA256, all.join("\n").as_bytes());
        digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes) >> 11)
    }

    /// What the stream of a cluster needs for all of them.
    pub(super) fn shape(&self) -> Shape {
        let kept = || self.patterns.iter().map(|(_, _, policy)| policy).filter(|policy| policy.keeps());
        Shape {
            messages: kept().map(|policy| policy.messages + 1).max().unwrap_or(1),
            keep: kept().map(|policy| policy.keep).max().unwrap_or_default(),
            policies: self.fingerprint(),
        }
    }

    /// The policy of a topic that keeps messages or tells who is there.
    pub(super) fn of(&self, topic: &str) -> Option<Policy> {
        let fits = |(text, extent, _): &&(Box<str>, Extent, Policy)| match extent {
            Extent::Exact => topic == &**text,
            Extent::Prefix => topic.starts_with(&**text),
        };
        self.patterns.iter().find(fits).map(|(_, _, policy)| *policy).filter(Policy::is_special)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_that_fits_counts() {
        let config = |history| TopicConfig { history, ..TopicConfig::default() };
        let policies = Policies::new(&BTreeMap::from([
            ("*".to_owned(), config(1)),
            ("room:*".to_owned(), config(2)),
            ("room:1*".to_owned(), config(3)),
            ("room:1".to_owned(), config(4)),
            ("room:secret:*".to_owned(), config(0)),
        ]));
        let history = |topic| policies.of(topic).map(|policy| policy.messages);
        for (topic, expected) in [("x", 1), ("room:", 2), ("room:2", 2), ("room:1", 4), ("room:12", 3), ("room", 1)] {
            assert_eq!(history(topic), Some(expected), "{topic}");
        }
        assert_eq!(history("room:secret:1"), None);
        assert_eq!(Policies::default().of("x"), None);
    }
}
