//! `hassock record`: the traffic of a running host, as a transcript.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde::Serialize;

use super::CommandError;
use super::print::print_line;
use crate::admin::{Client, Recorded};
use crate::cli::RecordArguments;
use crate::record::{Entry, Event, Script, Tally};
use crate::shutdown::Signals;
use crate::text::terminal_text;

/// How often a terminal is told how far it is: often enough to be watched, and not once a message.
const REFRESH: Duration = Duration::from_millis(100);

/// Why a recording came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is something that would be lost.
    #[error("{}: there is such a file already; give another name, or `--force` to write over it", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write the transcript {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The host says that this side was too slow.
    #[error("{}", terminal_text(.0))]
    TooSlow(String),
}

/// Write what happens into a file until the recording ends, or the process is told to stop.
///
/// # Errors
/// If there is no host, it refuses or goes away, or the file cannot be written.
pub async fn run(arguments: RecordArguments) -> Result<(), CommandError> {
    let mut signals = Signals::catch()?;
    let client = Client::of_config(&arguments.host.config)?;
    let mut transcript = Transcript::open(&arguments)?;
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

/// The file, which is there from the beginning: to learn in the end that it cannot be written is too late.
struct Transcript {
    path: PathBuf,
    file: File,
    is_new: bool,
}

impl Transcript {
    fn open(arguments: &RecordArguments) -> Result<Self, RecordError> {
        let path = arguments.file.clone();
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { path, file, is_new: true }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && arguments.force => {
                match options.create_new(false).open(&path) {
                    Ok(file) => Ok(Self { path, file, is_new: false }),
                    Err(source) => Err(RecordError::Write { file: path, source }),
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(RecordError::Exists(path)),
            Err(source) => Err(RecordError::Write { file: path, source }),
        }
    }

    /// The host records: what the file held before may go.
    fn begin(&mut self) -> Result<(), RecordError> {
        let emptied = match self.file.metadata() {
            Ok(metadata) if metadata.is_file() => self.file.set_len(0),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        emptied.map_err(|source| RecordError::Write { file: self.path.clone(), source })
    }

    fn write(&mut self, text: &str) -> Result<(), RecordError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| RecordError::Write { file: self.path.clone(), source })
    }

    /// There is no recording: leave no empty file behind, or the one that was there as it was.
    fn discard(self) {
        if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How a recording ended that is fit for use.
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
    transcript: Transcript,
    script: Script,
    version: String,
    progress: Progress,
}

impl Recording {
    fn new(arguments: &RecordArguments, transcript: Transcript) -> Self {
        let progress = Progress::new(&arguments.app, arguments.connections.get());
        Self { transcript, script: Script::default(), version: String::new(), progress }
    }

    async fn follow(&mut self, mut recorded: Recorded, signals: &mut Signals) -> Result<Ended, CommandError> {
        loop {
            let entry = tokio::select! {
                biased;
                // A terminal that is closed ends it too.
                _ = signals.next() => return self.finish(recorded),
                entry = recorded.next() => entry?,
            };
            if let Some(ended) = self.take(entry)? {
                return Ok(ended);
            }
        }
    }

    /// Take what has arrived already.
    fn finish(&mut self, mut recorded: Recorded) -> Result<Ended, CommandError> {
        while let Some(Ok(entry)) = recorded.next().now_or_never() {
            if let Some(ended) = self.take(entry)? {
                return Ok(ended);
            }
        }
        Ok(Ended::Interrupted)
    }

    /// Write an event down. Tells whether it was the last.
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
        let lines = self.script.lines(entry);
        self.transcript.write(&lines)?;
        self.progress.tell(self.script.tally());
        Ok(ended)
    }

    fn report(&self, arguments: &RecordArguments, ended: Ended) {
        let file = arguments.file.display().to_string();
        let tally = self.script.tally();
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
            Ended::CutShort => "; cut short: the host stops, or has the app no more",
            Ended::Interrupted => "; interrupted",
        };
        let (connections, messages) = (count(tally.connections, "connection"), count(tally.messages, "message"));
        print_line(format!("recorded {connections}{refused}, {messages} to {file}{remark}"));
    }
}

/// Says on standard error how far it is: in one line of a terminal, or a line for each connection.
struct Progress {
    app: String,
    wanted: usize,
    is_terminal: bool,
    told: Option<(Tally, Instant)>,
    latest: Tally,
}

impl Progress {
    fn new(app: &str, wanted: usize) -> Self {
        let (app, is_terminal) = (terminal_text(app).replace('\n', " "), stderr().is_terminal());
        Self { app, wanted, is_terminal, told: None, latest: Tally::default() }
    }

    fn tell(&mut self, tally: Tally) {
        self.latest = tally;
        let is_due = self.told.is_none_or(|(told, at)| match self.is_terminal {
            true => told != tally && at.elapsed() >= REFRESH,
            false => told.connections != tally.connections,
        });
        if is_due {
            self.told = Some((tally, Instant::now()));
            self.print();
        }
    }

    fn print(&self) {
        let (app, wanted, Tally { connections, messages, .. }) = (&self.app, self.wanted, self.latest);
        let (of, messages) = (count(wanted, "connection"), count(messages, "message"));
        let line = format!("recording {app}: {connections} of {of}, {messages}; Ctrl-C ends");
        match self.is_terminal {
            true => say(&format!("\r{line}\x1b[K")),
            false => say(&format!("{line}\n")),
        }
    }

    fn end(&self) {
        if self.is_terminal && self.told.is_some() {
            self.print();
            say("\n");
        }
    }
}

/// Whoever does not listen any more still gets the file.
fn say(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
