//! Recording: the traffic of the next connections of an app, as it happens.
//!
//! An operator starts a recording with `record::Reader::start`. From then on, the host notes each request for a
//! WebSocket, and each connection that results from a request gets a [`Tap`]. The session reports the traffic through
//! it. Traffic never waits for the reader, and a connection that is not recorded pays one load for each batch or write.

mod queue;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use hassock_frames::Payload;

pub(crate) use queue::{End, Next, PendingHandshake, RawEvent, Recording, Tap};

use crate::module::bindings::hassock::host::types::Request;

/// What is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordOptions {
    /// How many connections to record. Refused ones do not count.
    pub connections: usize,
    /// How many bytes of events may wait for the reader.
    pub bytes: usize,
}

/// The recording of an app, if there is one. An app has at most one, because each connection has room for one tap.
#[derive(Default)]
pub struct Recorder(ArcSwapOption<Recording>);

impl Recorder {
    /// Begin a recording. None if there is one already.
    pub(crate) fn start(&self, options: RecordOptions) -> Option<Arc<Recording>> {
        let recording = Arc::new(Recording::new(options));
        let before = self.0.compare_and_swap(&None::<Arc<Recording>>, Some(Arc::clone(&recording)));
        before.is_none().then_some(recording)
    }

    /// The recording does not have a reader any more.
    pub(crate) fn stop(&self, recording: &Arc<Recording>) {
        recording.abandon();
        self.0.compare_and_swap(recording, None);
    }

    /// A client requests a WebSocket. None if the request is not recorded.
    pub(crate) fn ask(&self, request: impl FnOnce() -> Request) -> Option<PendingHandshake> {
        let recording = self.0.load();
        recording.as_ref().and_then(|recording| recording.ask(request))
    }

    /// A timer of the app is about to be fired.
    pub(crate) fn fired(&self) {
        if let Some(recording) = &*self.0.load() {
            recording.fired();
        }
    }

    /// A program that is neither a client nor the module is about to publish. Rows of an outbox are not told: they belong to
    /// whoever has inserted them.
    pub(crate) fn published(&self, topic: &str, id: Option<&str>, payload: Payload<'_>) {
        if let Some(recording) = &*self.0.load() {
            recording.published(topic, id, payload);
        }
    }

    /// There will be no more connections.
    pub(crate) fn cut_short(&self) {
        if let Some(recording) = &*self.0.load() {
            recording.cut_short();
        }
    }
}
