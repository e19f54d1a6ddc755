//! Reports about apps and their versions: the admin listener sends them as JSON, and the commands print them as tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CallsReport;

/// An app and its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppReport {
    /// The name in the config.
    pub app: String,
    /// The path.
    pub path: String,
    /// What a swap does with open connections: `live` or `pin`.
    pub swap: String,
    /// The versions, the newest first.
    pub versions: Vec<VersionReport>,
    /// The version that the module's file contained when it was last read. A restart would serve it.
    pub file_version: String,
    /// The last version that the gate refused since the host started, and the reason.
    pub last_refusal: Option<Refusal>,
    /// What has happened since the host started.
    pub counts: Counts,
}

/// A version that the gate refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Seconds since the refusal.
    pub age_seconds: u64,
    /// The kind of failure, as a short word: `invalid`, `imports`, `check`, ….
    pub kind: String,
    /// The complete message.
    pub message: String,
}

/// One loaded version of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionReport {
    /// The name of the version: 12 hex digits.
    pub version: String,
    /// The state of the version.
    pub state: VersionStatus,
    /// The share of connections that a canary gets, in percent.
    pub canary_percent: Option<f64>,
    /// Why the version was rolled back.
    pub reason: Option<String>,
    /// Seconds since the version was last deployed.
    pub age_seconds: u64,
    /// Connections that the version serves now.
    pub connections: u64,
    /// Calls that the version has served.
    pub calls: u64,
    /// How many of these calls trapped or reached a deadline or the memory limit, and failed migrations.
    pub failures: u64,
    /// Mean time of a call, in microseconds.
    pub mean_micros: f64,
    /// 99 % of the calls took at most this long, in microseconds; within a sixth of the true value.
    pub p99_micros: f64,
    /// The calls of each exported function. Not in the JSON.
    #[serde(skip)]
    pub by_export: Vec<CallsReport>,
}

/// The state of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionStatus {
    /// New connections get the version.
    Serving,
    /// A share of the connections gets the version.
    Canary,
    /// New connections do not get the version, but it still has connections or a running call.
    Draining,
    /// The version has no connections and no calls. It stays compiled, so that a rollback to it is fast.
    Kept,
    /// The version failed too often, or an operator rolled it back.
    RolledBack,
}

/// What has happened to the versions of an app since the host started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Versions that passed the gate and got traffic.
    pub deploys: u64,
    /// Versions that the gate refused, by kind of failure.
    pub refusals: BTreeMap<String, u64>,
    /// Versions that the host rolled back automatically.
    pub automatic_rollbacks: u64,
    /// Versions that an operator rolled back.
    pub operator_rollbacks: u64,
    /// Attachments that a new version migrated.
    pub migrations: u64,
    /// Attachments that a new version failed to migrate.
    pub failed_migrations: u64,
}

/// The result of a deploy, a promotion or a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The app.
    pub app: String,
    /// The version that the command was about: the new version, or after a rollback the version that serves now.
    pub version: String,
    /// The version that served before, or that was rolled back.
    pub previous: Option<String>,
    /// The state of `version` now.
    pub state: VersionStatus,
    /// The share of a canary, in percent.
    pub canary_percent: Option<f64>,
    /// What the operator should know, such as that a restart would serve another version. Complete sentences.
    pub notes: Vec<String>,
}

/// What happens to open connections at the next deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinOutcome {
    /// The app.
    pub app: String,
    /// `live` or `pin`.
    pub swap: String,
    /// With `pin`: for how many seconds connections may stay with their version.
    pub pin_for_seconds: Option<u64>,
}
