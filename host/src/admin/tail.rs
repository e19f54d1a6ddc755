//! `GET /v1/apps/APP/tail`: what is published to a topic, line by line. The tail ends when its reader is dropped.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::tails::{Found, Seen, Tail};
use crate::client_protocol::Position;
use crate::config::Size;

/// Bytes of lines that go together.
const CHUNK: usize = 16 << 10;

/// A line of a tail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TailLine {
    /// From now on, everything that is published is seen. Always the first.
    Began,
    /// A message was published.
    Message(TailedMessage),
    /// There will be no more messages.
    Ended {
        /// A sentence for people.
        why: String,
    },
    /// The lines were not read as fast as messages came. What came before is complete.
    TooSlow {
        /// A sentence for people.
        error: String,
    },
}

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TailedMessage {
    /// When, as RFC 3339 writes it.
    pub(crate) at: String,
    /// For how many subscribers it was queued.
    pub(crate) reached: u32,
    /// Its position, if the topic keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<Position>,
    /// The message.
    #[serde(flatten)]
    pub(crate) content: TailedContent,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TailedContent {
    /// A text message.
    Text(String),
    /// A binary message, in base64.
    Base64(String),
}

/// Reads a tail.
pub(super) struct TailReader {
    app: Arc<App>,
    tail: Arc<Tail>,
    /// Cancelled when the host takes no more connections.
    draining: CancellationToken,
    began: bool,
    is_over: bool,
}

impl TailReader {
    /// Begin to see what is published to a topic of an app. At most so many bytes may wait to be read.
    pub(super) fn start(app: Arc<App>, topic: &str, most: Size, draining: CancellationToken) -> Self {
        let tail = app.tails.start(topic, most.bytes());
        tracing::info!(app = %app.name, topic, "a tail begins");
        // It may have gone since it was found: then nobody else says so.
        if app.is_gone() {
            app.tails.end();
        }
        Self { app, tail, draining, began: false, is_over: false }
    }

    /// Some whole lines, as soon as there is one; none at the end.
    pub(super) async fn lines(&mut self) -> Option<Bytes> {
        loop {
            let lines = self.take();
            if !lines.is_empty() {
                return Some(lines.into());
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                () = self.tail.changed() => {}
                () = self.draining.cancelled() => {
                    self.is_over = true;
                    let mut lines = self.take();
                    write(&mut lines, &ended("the host stops"));
                    return Some(lines.into());
                }
            }
        }
    }

    /// The lines that are there, but not many.
    fn take(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.began, true) {
            write(&mut lines, &TailLine::Began);
        }
        while lines.len() < CHUNK {
            match self.tail.next() {
                Found::Seen(seen) => write(&mut lines, &TailLine::Message(message(&seen))),
                Found::Nothing => break,
                Found::TooSlow | Found::Gone if self.is_over => break,
                Found::Gone => {
                    self.is_over = true;
                    write(&mut lines, &ended("the config of the host no longer has the app"));
                }
                Found::TooSlow => {
                    self.is_over = true;
                    let most = Size::from(self.tail.most());
                    let error = format!(
                        "the messages were not read as fast as they came: more than `admin.tail_bytes` = {most} waited; \
                         what came before is complete"
                    );
                    write(&mut lines, &TailLine::TooSlow { error });
                }
            }
        }
        lines
    }
}

impl Drop for TailReader {
    fn drop(&mut self) {
        self.app.tails.stop(&self.tail);
        tracing::info!(app = %self.app.name, "a tail ended");
    }
}

fn ended(why: &str) -> TailLine {
    TailLine::Ended { why: why.to_owned() }
}

fn message(seen: &Seen) -> TailedMessage {
    let content = match seen.message.as_text() {
        Some(text) => TailedContent::Text(text.to_owned()),
        None => TailedContent::Base64(STANDARD.encode(seen.message.payload())),
    };
    let at = humantime::format_rfc3339_millis(seen.at).to_string();
    TailedMessage { at, reached: seen.reached, position: seen.position, content }
}

fn write(lines: &mut Vec<u8>, line: &TailLine) {
    // Its keys are strings, so that it can be written, and a vector takes it.
    if let Err(error) = serde_json::to_writer(&mut *lines, line) {
        tracing::error!(%error, "a line of a tail is not JSON");
    }
    lines.push(b'\n');
}
