//! Recording: the traffic of the next connections of an app, as it happens.
//!
//! An operator asks for it through the admin listener (`Reader::start`). From then on each request for a
//! WebSocket is noted, and each connection that comes of it gets a `Tap`, through which its session tells what
//! passes. A `Reader` redacts it and turns it into lines. `hassock record` turns the lines into a transcript.
//!
//! A connection that is not recorded pays one load for each batch and each write. Traffic never waits for a reader.

mod event;
mod reader;
mod recording;
mod redact;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub use event::{Asked, EndedBy, Entry, Event, Received, Sent};
pub(crate) use reader::Reader;
pub(crate) use recording::{Asking, Tap};

use crate::module::bindings::hassock::host::types::Request;
use recording::Recording;

/// What is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
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
    pub(crate) fn start(&self, order: Order) -> Option<Arc<Recording>> {
        let recording = Arc::new(Recording::new(order));
        let before = self.0.compare_and_swap(&None::<Arc<Recording>>, Some(Arc::clone(&recording)));
        before.is_none().then_some(recording)
    }

    /// The recording has no reader any more.
    pub(crate) fn stop(&self, recording: &Arc<Recording>) {
        recording.abandon();
        self.0.compare_and_swap(recording, None);
    }

    /// Somebody asks for a WebSocket. None if that is not recorded.
    pub(crate) fn ask(&self, request: impl FnOnce() -> Request) -> Option<Asking> {
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
