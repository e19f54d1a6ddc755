//! `[apps.NAME.compression]`: compressed messages.

use serde::{Deserialize, Serialize};

use super::Size;

/// Compression of messages (`permessage-deflate`, RFC 7692), for clients that offer it, as browsers do. A connection keeps
/// what was agreed in its handshake.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CompressionConfig {
    /// Whether clients get it. Off by default: if one message has a secret beside text that an attacker chooses, its length
    /// tells the attacker whether they resemble each other, and so the secret, little by little (CRIME, BREACH). It also costs
    /// more processor time than a short message otherwise needs.
    pub enabled: bool,
    /// How much processor time is spent on making messages short: 1 to 9. 2 needs half the time of 6, for messages that are
    /// a twentieth longer.
    pub level: u8,
    /// Shorter messages are sent as they are: there is little to gain, and each costs some microseconds.
    pub min_bytes: Size,
}

impl Default for CompressionConfig {
    fn default() -> Self {
        Self { enabled: false, level: 2, min_bytes: Size::from(256) }
    }
}
