//! The host's log: one line for each event, with the fields `app`, `version` and `connection` where they apply.

mod rate_limit;

use std::io::IsTerminal;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::interval;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use rate_limit::{LeftOut, RateLimit};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// At levels below this one, only lines of the host are shown, because the `info` lines of libraries do not help
/// operators.
const LIBRARIES: LevelFilter = LevelFilter::WARN;

/// How often the host looks whether lines were left out.
const REPORTS: Duration = Duration::from_secs(2);

/// How long the host waits at its end for a reader of the log.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Writes what is queued when it is dropped, if it is read soon enough.
pub struct Log(Option<WorkerGuard>);

impl Drop for Log {
    fn drop(&mut self) {
        // On another thread: if the log is not read, the guard writes to standard output, which may not be read either.
        let (done, ended) = mpsc::channel();
        let guard = self.0.take();
        let dropping = thread::Builder::new().name("last-lines".into()).spawn(move || {
            drop(guard);
            let _ = done.send(());
        });
        if dropping.is_ok() {
            let _ = ended.recv_timeout(LAST_LINES);
        }
    }
}

/// Lines that were left out since the process began, by reason.
pub(crate) fn left_out() -> [(&'static str, u64); 2] {
    let read_too_slowly = READ_TOO_SLOWLY.get().map_or(0, ErrorCounter::dropped_lines);
    [("rate", rate_limit::left_out()), ("read-too-slowly", read_too_slowly as u64)]
}

/// Counts the lines that were left out because nobody read the log. There is one log in a process.
static READ_TOO_SLOWLY: OnceLock<ErrorCounter> = OnceLock::new();

/// Write the log to standard error from now on, on a thread of its own. Calls and connections do not wait for it, even if
/// the log is not read.
///
/// A second call changes nothing, so that several tests can each start a host.
#[must_use = "the log ends when this is dropped"]
pub fn init(config: &LogConfig) -> Log {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(config.buffered_lines)
        .thread_name("log")
        .finish(std::io::stderr());
    let left_out = writer.error_counter();
    let targets = tracing_subscriber::filter::Targets::new()
        .with_default(LIBRARIES.min(level(config.level)))
        .with_target("hassock", level(config.level));
    let rate_limit = RateLimit::new(config.lines_per_second);
    let lines_to_write = targets.and(rate_limit.clone());
    let lines = fmt::layer().with_writer(writer).with_target(false);
    // Colours are for terminals. In a log file, the escape codes are noise.
    let result = match config.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            tracing_subscriber::registry().with(lines.with_filter(lines_to_write)).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing_subscriber::registry().with(lines.with_filter(lines_to_write)).try_init()
        }
    };
    match result {
        Ok(()) => {
            let _ = READ_TOO_SLOWLY.set(left_out.clone());
            drop(tokio::spawn(report(left_out, rate_limit)));
        }
        Err(error) => tracing::debug!(%error, "the log was already set up"),
    }
    Log(Some(guard))
}

/// Say how many lines were left out, when there is room again.
async fn report(left_out: ErrorCounter, rate_limit: RateLimit) {
    let mut reported = 0;
    let mut reports = interval(REPORTS);
    loop {
        reports.tick().await;
        let lines = left_out.dropped_lines();
        if lines > reported {
            tracing::warn!(lines = lines - reported, "the log was read too slowly, and lines were left out");
            reported = lines;
        }
        for LeftOut { app, place, lines } in rate_limit.take_left_out() {
            tracing::warn!(app, place, lines, "more than `log.lines_per_second`, and lines were left out");
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use regex::Regex;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    /// The fields of all lines that the host writes, as they stand in its sources.
    fn fields() -> BTreeSet<String> {
        let line = Regex::new(r#"tracing::(?:trace|debug|info|warn|error)!\(\s*([^"]*?),?\s*""#).unwrap();
        let sources: Vec<String> = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let arguments = sources.iter().flat_map(|source| line.captures_iter(source).map(|found| found[1].to_owned()));
        let split = Regex::new(r",\s*").unwrap();
        let fields = arguments.flat_map(|list| split.split(&list).map(ToOwned::to_owned).collect::<Vec<_>>());
        let name = |field: String| {
            assert!(!field.contains('?'), "the Debug form of a value is not for a log: {field}");
            field.split(" =").next().unwrap_or_default().trim().trim_start_matches('%').to_owned()
        };
        fields.map(name).filter(|name| !name.is_empty()).collect()
    }

    /// The table of the book has the fields that there are, and no others.
    #[test]
    fn each_field_is_in_the_book() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/operations.md");
        let book = fs::read_to_string(book).unwrap();
        let (_, logs) = book.split_once("\n## Logs\n").unwrap();
        let logs = logs.split("\n## ").next().unwrap();
        let row = Regex::new(r"(?m)^\| `([a-z_`, ]+)` \|").unwrap();
        let told: BTreeSet<String> = row
            .captures_iter(logs)
            .flat_map(|row| row[1].split("`, `").map(ToOwned::to_owned).collect::<Vec<_>>())
            .collect();
        assert_eq!(fields(), told);
    }
}
