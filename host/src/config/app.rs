//! `[apps.NAME]`: one application.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    AppLimits, AuthConfig, CompressionConfig, Duration, Paths, RecordConfig, RollbackConfig, Setting, SwapPolicy,
    TopicConfig,
};

/// One application: where it is served, its module, and what the module may use.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AppConfig {
    /// The path of its WebSocket: `/chat`, or `/chat/*` for everything below it; or a list of several. Required.
    pub path: Paths,
    /// The file of the component, relative to the config file. `hassock build` writes it. Required.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub module: PathBuf,
    /// The command that builds the module, run in the config file's folder by `hassock build`, `dev` and `test`.
    /// Without the key: `cargo build --release --target wasm32-wasip2`. If it begins with `cargo build`, the component
    /// is copied to `module`; any other command has to write that file itself.
    pub build: Option<String>,
    /// The databases that the module may use, each `"read-only"` or `"read-write"`. The database enforces it.
    pub databases: BTreeMap<String, Grant>,
    /// The origins from which browsers may connect, such as `["https://example.org"]`; `"*"` is any. Without the key,
    /// only pages of the host that the request is for: a browser would let any page connect, with the user's cookies.
    pub origins: Option<Vec<String>>,
    /// What the module reads through `wasi:config`. Values are strings, numbers or booleans; `${NAME}` is an
    /// environment variable.
    pub settings: BTreeMap<String, Setting>,
    /// The code with which a connection is closed after a call that returned an error: 1011, or 3000 to 4999. Without
    /// the key: 1011.
    pub error_close_code: Option<u16>,
    /// What a new version does with open connections. `live`: each moves to it at its next call. `pin`: they stay with
    /// the version that they have, for at most `pin_for`, and new connections get the new version.
    pub swap: SwapPolicy,
    /// With `swap = "pin"`: how long connections may stay with a version that new connections do not get any more.
    /// Without an end, one client could keep an old version for ever.
    pub pin_for: Duration,
    /// Versions that connections may be pinned to at the same time: the code of each is in memory. When there are
    /// more, the connections of the oldest move early.
    pub pinned_versions: usize,
    /// Versions that stay compiled after they were replaced, so that a rollback takes no time. Each keeps its
    /// machine code in memory, about three times the size of the component.
    pub keep_versions: usize,
    /// When the host takes a new version back without being asked.
    pub rollback: RollbackConfig,
    /// Which tokens clients have to show.
    pub auth: Option<AuthConfig>,
    /// Messages that the test page offers to send to the app: at most 32, each of at most 4 KiB, because they are part of
    /// the page.
    pub samples: Vec<String>,
    /// What recordings of the app's traffic leave out.
    pub record: RecordConfig,
    /// Whether messages are compressed.
    pub compression: CompressionConfig,
    /// Topics with a history, by the beginning of their names.
    pub topics: BTreeMap<String, TopicConfig>,
    /// Bounds of each connection, call and instance of the app.
    pub limits: AppLimits,
}

/// What an app may do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names describe them")]
pub enum Grant {
    ReadOnly,
    ReadWrite,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            path: Paths::default(),
            module: PathBuf::new(),
            build: None,
            databases: BTreeMap::new(),
            origins: None,
            settings: BTreeMap::new(),
            error_close_code: None,
            swap: SwapPolicy::default(),
            pin_for: Duration::from_secs(3600),
            pinned_versions: 8,
            keep_versions: 3,
            rollback: RollbackConfig::default(),
            auth: None,
            samples: Vec::new(),
            record: RecordConfig::default(),
            compression: CompressionConfig::default(),
            topics: BTreeMap::new(),
            limits: AppLimits::default(),
        }
    }
}
