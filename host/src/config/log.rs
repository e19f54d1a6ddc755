//! `[log]`: what the host writes to its log.

use serde::{Deserialize, Serialize};

/// What the host logs, and in which form. The log goes to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The least important lines that are written. `debug` also shows each connection that ends.
    pub level: LogLevel,
    /// `text` is for people: `time LEVEL message key=value …`. `json` is for collectors: one JSON object a line.
    pub format: LogFormat,
    /// Lines that wait while nobody reads the log. More are left out and counted: the host does not wait for a reader.
    pub buffered_lines: usize,
    /// Lines of one app and one cause in a second. More are left out and counted: a client or a module must not fill the
    /// disk.
    pub lines_per_second: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LogLevel::default(), format: LogFormat::default(), buffered_lines: 4096, lines_per_second: 1000 }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are well known")]
pub enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "`LogConfig::format` describes them")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
