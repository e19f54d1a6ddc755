//! What is said about apps and their versions: by the admin listener in JSON, by the commands in tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An app and its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppReport {
    /// Its name in the config.
    pub app: String,
    /// Its path.
    pub path: String,
    /// What a swap does with open connections: `live` or `pin`.
    pub swap: String,
    /// The newest first.
    pub versions: Vec<VersionReport>,
    /// The version that the module's file held when it was read last; a restart would serve it.
    pub file_version: String,
    /// The last version that the gate refused since the host started, and why.
    pub last_refusal: Option<Refusal>,
    /// What happened since the host started.
    pub counts: Counts,
}

/// A version that did not get through the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Seconds since then.
    pub age_seconds: u64,
    /// The kind of failure, a short word: `invalid`, `imports`, `check`, ….
    pub kind: String,
    /// The whole message.
    pub message: String,
}

/// One version of an app, as long as it is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionReport {
    /// Its name: 12 hex digits.
    pub version: String,
    /// Where it stands.
    pub state: VersionStatus,
    /// The share of connections that a canary gets, in percent.
    pub canary_percent: Option<f64>,
    /// Why it was rolled back.
    pub reason: Option<String>,
    /// Seconds since it was deployed last.
    pub age_seconds: u64,
    /// Connections that it serves now.
    pub connections: u64,
    /// Calls that it has served.
    pub calls: u64,
    /// Of these, what trapped, or ran into a deadline or the memory limit; and failed migrations.
    pub failures: u64,
    /// Mean time of a call, in microseconds.
    pub mean_micros: f64,
    /// 99 % of the calls took no longer than this, in microseconds; within a sixth of the true value.
    pub p99_micros: f64,
    /// How many calls took at most so many microseconds, cumulative, for a histogram. Not in the JSON.
    #[serde(skip)]
    pub histogram: Vec<(f64, u64)>,
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionStatus {
    /// New connections get it.
    Serving,
    /// A share of connections gets it.
    Canary,
    /// It is no longer served to new connections, but still has some, or a call that runs.
    Draining,
    /// It has nothing to do, and stays compiled so that a rollback is quick.
    Kept,
    /// It failed too often, or an operator took it back.
    RolledBack,
}

/// What happened to an app's versions since the host started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Versions that went through the gate and got traffic.
    pub deploys: u64,
    /// Those that did not, by kind of failure.
    pub refusals: BTreeMap<String, u64>,
    /// Versions that the host took back by itself.
    pub automatic_rollbacks: u64,
    /// Versions that an operator took back.
    pub operator_rollbacks: u64,
    /// Attachments that a new version took over.
    pub migrations: u64,
    /// Attachments that it did not.
    pub failed_migrations: u64,
}

/// What a deploy, a promotion or a rollback came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The app.
    pub app: String,
    /// The version that the command was about: the new one, or after a rollback the one that serves now.
    pub version: String,
    /// The version that served before, or that was taken back.
    pub previous: Option<String>,
    /// Where `version` stands now.
    pub state: VersionStatus,
    /// A canary's share in percent.
    pub canary_percent: Option<f64>,
    /// What the operator should know, such as that a restart would serve another version. Whole sentences.
    pub notes: Vec<String>,
}

/// What becomes of open connections at the next deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinOutcome {
    /// The app.
    pub app: String,
    /// `live` or `pin`.
    pub swap: String,
    /// With `pin`: seconds for which they may stay with their version.
    pub pin_for_seconds: Option<u64>,
}
