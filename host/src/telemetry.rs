//! The host's log: one line for each event, with the fields `app`, `version` and `connection` where they apply.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// At levels below this one, only lines of the host are shown, because the `info` lines of libraries do not help
/// operators.
const LIBRARIES: LevelFilter = LevelFilter::WARN;

/// Write the log to standard error from now on. A second call changes nothing, so that several tests can each start a
/// host.
pub fn init(config: &LogConfig) {
    let targets = tracing_subscriber::filter::Targets::new()
        .with_default(LIBRARIES.min(level(config.level)))
        .with_target("hassock", level(config.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    // Colours are for terminals. In a log file, the escape codes are noise.
    let result = match config.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            tracing_subscriber::registry().with(lines.with_filter(targets)).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing_subscriber::registry().with(lines.with_filter(targets)).try_init()
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "the log was already set up");
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}
