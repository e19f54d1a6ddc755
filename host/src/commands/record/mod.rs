//! `hassock record`: the traffic of a running host, as a transcript.

mod file;
mod progress;
mod script;
mod spoken;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use futures_util::FutureExt;
use serde::Serialize;

use self::file::TranscriptFile;
use self::progress::{Counted, Progress, Tally, count};
use self::script::Script;
use super::print::print_line;
use super::{CommandError, RunningHost};
use crate::admin::{Client, Lines};
use crate::record::{Entry, Event};
use crate::shutdown::Signals;
use crate::text::terminal_text;

/// Record the traffic of an app of a running host as a transcript
///
/// Writes what the next connections of APP send and get into FILE, with the pauses between, and ends when
/// all of them have ended, or on Ctrl-C. Connections that are open already are not recorded, and requests
/// that are refused do not count. Header fields with credentials, query parameters such as `token`,
/// `password` and `key`, and what the config's `apps.APP.record` names are redacted before they leave the
/// host; the configuration reference lists them. Talks to the admin listener of a host on this machine, as `hassock module` does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hassock record chat login.transcript\n  \
    hassock record chat talk.transcript --connections 2 --config /etc/hassock/hassock.toml")]
pub struct RecordArgs {
    /// The app's name in the config
    pub app: String,
    /// The transcript to write; a file that exists is not overwritten
    pub file: PathBuf,
    /// How many connections to record
    #[arg(long, value_name = "N", default_value = "1")]
    pub connections: NonZeroUsize,
    /// Overwrite FILE if it exists
    #[arg(long)]
    pub force: bool,
    /// The host
    #[command(flatten)]
    pub host: RunningHost,
}

/// Why a recording failed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file exists, and would be lost.
    #[error("{}: the file exists already; give another name, or `--force` to overwrite it", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write the transcript {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The host reports that this side was too slow.
    #[error("{}", terminal_text(.0))]
    TooSlow(String),
}

/// Write the traffic into a file until the recording ends, or a signal ends the process.
///
/// # Errors
/// If there is no host, the host refuses or goes away, or the file cannot be written.
pub async fn run(arguments: RecordArgs) -> Result<(), CommandError> {
    let mut signals = Signals::catch()?;
    let client = Client::of_config(&arguments.host.config)?;
    let mut transcript = TranscriptFile::open(&arguments)?;
    let recorded = tokio::select! {
        recorded = client.record(&arguments.app, arguments.connections.get()) => recorded,
        _ = signals.next() => {
            transcript.discard();
            return Ok(());
        }
    };
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => {
            transcript.discard();
            return Err(error.into());
        }
    };
    transcript.begin()?;
    let mut recording = Recording::new(&arguments, transcript);
    let ended = recording.follow(recorded, &mut signals).await;
    recording.progress.end();
    recording.report(&arguments, ended?);
    Ok(())
}

/// How a usable recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Ended {
    Complete,
    CutShort,
    Interrupted,
}

/// What was recorded, for `--json`.
#[derive(Serialize)]
struct Report<'a> {
    app: &'a str,
    version: &'a str,
    file: String,
    #[serde(flatten)]
    tally: Tally,
    ended: Ended,
}

struct Recording {
    transcript: TranscriptFile,
    script: Script,
    tally: Tally,
    version: String,
    progress: Progress,
}

impl Recording {
    fn new(arguments: &RecordArgs, transcript: TranscriptFile) -> Self {
        let progress = Progress::new(&arguments.app, arguments.connections.get());
        Self { transcript, script: Script::default(), tally: Tally::default(), version: String::new(), progress }
    }

    async fn follow(&mut self, mut recorded: Lines<Entry>, signals: &mut Signals) -> Result<Ended, CommandError> {
        loop {
            let entry = tokio::select! {
                biased;
                // A terminal that is closed ends the recording too.
                _ = signals.next() => return self.finish(recorded),
                entry = recorded.next() => entry?,
            };
            if let Some(ended) = self.take(entry)? {
                return Ok(ended);
            }
        }
    }

    /// Take what has arrived already.
    fn finish(&mut self, mut recorded: Lines<Entry>) -> Result<Ended, CommandError> {
        while let Some(Ok(entry)) = recorded.next().now_or_never() {
            if let Some(ended) = self.take(entry)? {
                return Ok(ended);
            }
        }
        Ok(Ended::Interrupted)
    }

    /// Write an event to the file. Returns how the recording ended if it was the last event.
    fn take(&mut self, entry: Entry) -> Result<Option<Ended>, RecordError> {
        let ended = match &entry.event {
            Event::Began { version, .. } => {
                self.version.clone_from(version);
                None
            }
            Event::Complete => Some(Ended::Complete),
            Event::CutShort => Some(Ended::CutShort),
            Event::TooSlow { error } => {
                self.transcript.write("# the recording ended here: it was not read as fast as the traffic came\n")?;
                return Err(RecordError::TooSlow(error.clone()));
            }
            _ => None,
        };
        let counted = Counted::of(&entry.event);
        self.transcript.write(&self.script.lines(entry))?;
        // Only what is in the file counts.
        self.tally.add(counted);
        self.progress.tell(self.tally);
        Ok(ended)
    }

    fn report(&self, arguments: &RecordArgs, ended: Ended) {
        let file = arguments.file.display().to_string();
        let tally = self.tally;
        if arguments.host.json {
            let report = Report { app: &arguments.app, version: &self.version, file, tally, ended };
            print_line(serde_json::json!(report).to_string());
            return;
        }
        let refused = match tally.refused {
            0 => String::new(),
            count => format!(", {count} refused"),
        };
        let remark = match ended {
            Ended::Complete => "",
            Ended::CutShort => "; cut short: the host stops, or no longer has the app",
            Ended::Interrupted => "; interrupted",
        };
        let (connections, messages) = (count(tally.connections, "connection"), count(tally.messages, "message"));
        print_line(format!("recorded {connections}{refused}, {messages} to {file}{remark}"));
    }
}
