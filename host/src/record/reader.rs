//! The reader of a recording, which gets it line by line. The recording ends when the reader is dropped.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::event::{Entry, Event};
use super::redact::Redaction;
use super::speakers::Speakers;
use crate::app::App;
use crate::app::recording::{End, Next, RecordOptions, Recording};
use crate::config::{AppConfig, Size};

/// Bytes of lines that go together.
const CHUNK: usize = 16 << 10;

/// Reads a recording.
pub(crate) struct Reader {
    app: Arc<App>,
    recording: Arc<Recording>,
    redaction: Redaction,
    speakers: Speakers,
    /// Cancelled when the host takes no more connections.
    draining: CancellationToken,
    /// What was not read yet and is in no queue.
    first: Option<Event>,
    is_over: bool,
}

impl Reader {
    /// Begin to record an app. None if the app is being recorded already.
    pub(crate) fn start(app: &Arc<App>, options: RecordOptions, draining: CancellationToken) -> Option<Self> {
        let clock = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let recording = app.recorder.start(options)?;
        tracing::info!(app = %app.name, connections = options.connections, "recording begins");
        let version = app.versions.serving().id.to_string();
        let first = Event::Began { app: app.name.to_string(), version, connections: options.connections, clock };
        let reader = Self {
            redaction: redaction(&app.setup().config),
            speakers: Speakers::default(),
            app: Arc::clone(app),
            recording,
            draining,
            first: Some(first),
            is_over: false,
        };
        // It may have gone since it was found: then nobody else says so.
        if reader.app.is_gone() {
            reader.recording.cut_short();
        }
        Some(reader)
    }

    /// Some whole lines, as soon as there is one; none at the end.
    pub(crate) async fn lines(&mut self) -> Option<Bytes> {
        let mut is_draining = false;
        loop {
            let lines = self.take();
            if !lines.is_empty() {
                return Some(lines.into());
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                () = self.recording.changed() => {}
                () = self.draining.cancelled(), if !is_draining => {
                    is_draining = true;
                    self.recording.cut_short();
                }
            }
        }
    }

    /// The lines that are there, but not many.
    fn take(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        if let Some(first) = self.first.take() {
            write(&mut lines, Duration::ZERO, first);
        }
        while lines.len() < CHUNK && !self.is_over {
            match self.recording.next() {
                Next::RawEvent(at, event) => {
                    let events = self.speakers.events(event, &self.redaction);
                    events.into_iter().for_each(|event| write(&mut lines, at, event));
                }
                Next::Nothing => break,
                Next::End(end) => {
                    self.is_over = true;
                    write(&mut lines, Duration::ZERO, self.last(end));
                }
            }
        }
        lines
    }

    fn last(&self, end: End) -> Event {
        match end {
            End::Complete => Event::Complete,
            End::CutShort => Event::CutShort,
            End::TooSlow => Event::TooSlow {
                error: format!(
                    "the recording was not read as fast as the traffic came: more than `admin.record_bytes` = {} \
                     waited; what came before is complete. Record fewer connections, or raise it",
                    Size::from(self.recording.options().bytes)
                ),
            },
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.app.recorder.stop(&self.recording);
        tracing::info!(app = %self.app.name, "recording ended");
    }
}

fn redaction(config: &AppConfig) -> Redaction {
    Redaction::new(&config.record).and_places(config.auth.as_ref())
}

fn write(lines: &mut Vec<u8>, at: Duration, event: Event) {
    let at = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
    // Its keys are strings, so that it can be written, and a vector takes it.
    if let Err(error) = serde_json::to_writer(&mut *lines, &Entry { at, event }) {
        tracing::error!(%error, "an event of a recording is not JSON");
    }
    lines.push(b'\n');
}
