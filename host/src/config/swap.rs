//! How an app changes from one version of its module to the next.

use serde::{Deserialize, Serialize};

use super::{Duration, Share};

/// What a new version does with connections that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "`AppConfig::swap` describes them")]
pub enum SwapPolicy {
    #[default]
    Live,
    Pin,
}

/// When the host takes a new version back without being asked: connections move to the version before it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RollbackConfig {
    /// The share of the calls within `window` that may fail: trap, or exceed a time limit or the memory limit.
    pub failures: Share,
    /// How far back calls count: a version is judged by what it does now.
    pub window: Duration,
    /// Fewer calls than this within `window` prove nothing: the first of two that fails is half of them.
    pub min_calls: u32,
    /// How long a version counts as new. Later its failures have other causes, and the version before it may no
    /// longer fit. `"0s"` switches the rollback off.
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
