//! `[apps.NAME.topics."PATTERN"]`: topics with a history.

use serde::{Deserialize, Serialize};

use super::{Duration, Size};

/// What the host does for some topics of an app beside delivering messages. The name of the table is the name of a topic, or
/// ends in `*` for all topics that begin like it: `[apps.chat.topics."room:*"]`. If several names fit a topic, the longest one
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TopicConfig {
    /// Messages that are kept of each topic, the last ones. A client that was away gets those that it has missed, or is told
    /// that some are missing. All who may subscribe to a topic may read what is kept of it. 0 keeps none and costs nothing.
    pub history: usize,
    /// How long a message is kept: a client that was away for longer has to begin anew anyway.
    pub keep: Duration,
    /// Bytes of messages that are kept of one topic, where each message counts its payload and 64 bytes more: large messages must
    /// not fill the memory that the topics of the app share, `limits.history_bytes`.
    pub history_bytes: Size,
    /// Whether clients of `hassock.v1` are told who is subscribed, and who comes and leaves.
    pub presence: bool,
    /// Up to how many subscribers they are told who. If there are more, they are told only how many: each that comes or leaves
    /// would otherwise be a message to all others.
    pub presence_members: usize,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            history: 0,
            keep: Duration::from_secs(600),
            history_bytes: Size::mebibytes(1),
            presence: false,
            presence_members: 200,
        }
    }
}
