//! `hassock.toml`: one format for an app's folder and for a daemon with many apps.
//!
//! [`Config::load`] reads a file and reports everything that is wrong with it at once, each with file,
//! line, key and what would be accepted. The types below are the format: what they do not name is refused.

mod admin;
mod cache;
mod limits;
mod load;
mod problem;
mod record;
mod scalars;
mod share;
mod swap;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use admin::{AdminAddress, AdminConfig};
pub use cache::CacheConfig;
pub use limits::{AppLimits, HostLimits};
pub use load::ConfigError;
pub use problem::{Locator, Problem, Problems};
pub use record::RecordConfig;
pub use scalars::{Duration, Setting, Size, Url};
pub use share::{NoShare, Share};
pub use swap::{RollbackConfig, SwapPolicy};

use crate::database::DatabaseLimits;

/// The address that is listened on when the config names none.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// A whole configuration, valid in itself: what it refers to (files, databases) has not been looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port of the WebSocket listener; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Deploy a module when its file changes. `hassock dev` does so by building it.
    pub watch: bool,
    /// Serve the test page at `/`. `hassock dev` does so in any case.
    pub test_page: bool,
    /// What the daemon logs, and how.
    pub log: LogConfig,
    /// Where compiled modules are kept.
    pub cache: CacheConfig,
    /// The listener for operators; none without this table.
    pub admin: Option<AdminConfig>,
    /// Bounds of the whole host.
    pub limits: HostLimits,
    /// The databases that apps may be granted, by name.
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// The apps, by name.
    pub apps: BTreeMap<String, AppConfig>,
    /// The file it came from and where its keys are: for messages, and for relative paths.
    #[serde(skip)]
    pub locator: Locator,
    /// What a command decides instead of the file.
    #[serde(skip)]
    pub overrides: Overrides,
}

/// Keys whose values a command decides, also when the file is read again.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "they are those of the config")]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub test_page: Option<bool>,
    pub watch: Option<bool>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            watch: true,
            test_page: false,
            log: LogConfig::default(),
            cache: CacheConfig::default(),
            admin: None,
            limits: HostLimits::default(),
            databases: BTreeMap::new(),
            apps: BTreeMap::new(),
            locator: Locator::default(),
            overrides: Overrides::default(),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Lines below this level are left out.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `time LEVEL message key=value …`, for people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// `[databases.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `mysql://user:${PASSWORD}@host/database`, `sqlite://file.db` or `sqlite::memory:`.
    pub url: Url,
    /// Connections to the database at the same time, for each kind of grant: what the server can bear.
    pub max_connections: u32,
    /// How long a statement waits for one of them before it fails with `pool-exhausted`.
    pub acquire_timeout: Duration,
    /// How long connecting may take before the database counts as lost.
    pub connect_timeout: Duration,
    /// How long a statement may run: a slow one must not hold a connection for ever.
    pub query_timeout: Duration,
    /// A connection that nobody used for this long is given back to the server.
    pub idle_timeout: Duration,
    /// Rows of one result: it is handed to a module as a whole.
    pub max_rows: usize,
    /// Bytes of one result, for the same reason.
    pub max_result_bytes: Size,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        let limits = DatabaseLimits::default();
        Self {
            url: Url::default(),
            max_connections: limits.max_connections,
            acquire_timeout: limits.acquire_timeout.into(),
            connect_timeout: limits.connect_timeout.into(),
            query_timeout: limits.query_timeout.into(),
            idle_timeout: limits.idle_timeout.into(),
            max_rows: limits.max_rows,
            max_result_bytes: limits.max_result_bytes.into(),
        }
    }
}

/// What an app may do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Grant {
    ReadOnly,
    ReadWrite,
}

/// `[apps.NAME]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppConfig {
    /// The path of its socket: `/chat`, or `/chat/*` for everything below it.
    pub path: String,
    /// The component, relative to the config file. `hassock build` puts it there.
    pub module: PathBuf,
    /// The command that builds the module, run in the config file's folder. Only `build` and `dev` use it.
    pub build: Option<String>,
    /// The databases that the module may use, and how.
    pub databases: BTreeMap<String, Grant>,
    /// The origins from which browsers may connect. Absent: the host that the page came from. `"*"`: any.
    pub origins: Option<Vec<String>>,
    /// What the module reads through `wasi:config`.
    pub settings: BTreeMap<String, Setting>,
    /// The close code for a call that returned an error: 1011, or 3000 to 4999.
    pub error_close_code: Option<u16>,
    /// What a new version does with open connections: `live` or `pin`.
    pub swap: SwapPolicy,
    /// With `swap = "pin"`: how long connections may stay with a version that is no longer served to new ones.
    /// Without an end, one client could keep an old version for ever.
    pub pin_for: Duration,
    /// Versions that connections may be pinned to at the same time: each has its code in memory. When there
    /// are more, the connections of the oldest move early.
    pub pinned_versions: usize,
    /// Versions that stay compiled after they were replaced, so that a rollback takes no time. Each keeps its
    /// machine code in memory, about three times the size of the component.
    pub keep_versions: usize,
    /// When the host takes a new version back by itself.
    pub rollback: RollbackConfig,
    /// Messages that the test page offers to send to this app: at most 32, each at most 4 KiB.
    pub samples: Vec<String>,
    /// What recordings of its traffic leave out.
    pub record: RecordConfig,
    /// Bounds of each connection, call and instance of this app.
    pub limits: AppLimits,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
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
            samples: Vec::new(),
            record: RecordConfig::default(),
            limits: AppLimits::default(),
        }
    }
}
