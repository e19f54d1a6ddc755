//! How an app changes from one version of its module to the next.

use serde::Deserialize;

use super::{Duration, Share};

/// What a new version does with connections that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapPolicy {
    /// Every connection moves to it at its next call.
    #[default]
    Live,
    /// Open connections stay with the version that they have, for at most `pin_for`; new ones get the new version.
    Pin,
}

/// `[apps.NAME.rollback]`: when the host takes a new version back by itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackConfig {
    /// Of the calls within `window`, so many may fail: trap, or run into a deadline or the memory limit.
    pub failures: Share,
    /// How far back calls count: a version is judged by what it does now.
    pub window: Duration,
    /// Fewer calls than this within `window` say nothing: the first of two that fails is half of them.
    pub min_calls: u32,
    /// For so long a version counts as new. Later its failures have other causes, and the version before it
    /// may no longer fit. 0 switches the rollback off.
    pub watch_for: Duration,
}

impl Default for RollbackConfig {
    fn default() -> Self {
        Self {
            failures: Share::percent(10),
            window: Duration::from_secs(30),
            min_calls: 20,
            watch_for: Duration::from_secs(600),
        }
    }
}
