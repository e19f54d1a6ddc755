//! Recording: what passes on the next connections of an app, as it happens.
//!
//! An operator asks for it (`record::Reader::start`). From then on each request for a WebSocket is noted, and each
//! connection that comes of it gets a [`Tap`], through which its session tells what passes. Traffic never waits for the
//! reader, and a connection that is not recorded pays one load for a batch or a write.

mod queue;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub(crate) use queue::{End, Next, PendingHandshake, RawEvent, Recording, Tap};

use crate::module::bindings::hassock::host::types::Request;

/// What is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordOptions {
    /// How many connections, refused ones not counted.
    pub connections: usize,
    /// Bytes of events that may wait for the reader.
    pub bytes: usize,
}

/// Where an app is recorded, if it is: by one at a time, because each connection has one place for a tap.
#[derive(Default)]
pub struct Recorder(ArcSwapOption<Recording>);

impl Recorder {
    /// Begin. None if somebody records already.
    pub(crate) fn start(&self, options: RecordOptions) -> Option<Arc<Recording>> {
        let recording = Arc::new(Recording::new(options));
        let before = self.0.compare_and_swap(&None::<Arc<Recording>>, Some(Arc::clone(&recording)));
        before.is_none().then_some(recording)
    }

    /// The recording has no reader any more.
    pub(crate) fn stop(&self, recording: &Arc<Recording>) {
        recording.abandon();
        self.0.compare_and_swap(recording, None);
    }

    /// Somebody asks for a WebSocket. None if that is not recorded.
    pub(crate) fn ask(&self, request: impl FnOnce() -> Request) -> Option<PendingHandshake> {
        let recording = self.0.load();
        recording.as_ref().and_then(|recording| recording.ask(request))
    }

    /// A timer of the app itself is about to be fired.
    pub(crate) fn fired(&self) {
        if let Some(recording) = &*self.0.load() {
            recording.fired();
        }
    }

    /// There will be no more connections.
    pub(crate) fn cut_short(&self) {
        if let Some(recording) = &*self.0.load() {
            recording.cut_short();
        }
    }
}
