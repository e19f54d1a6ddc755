//! What has happened and was not read yet: a queue that is bounded in bytes and that nobody ever waits for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::RecordOptions;
use crate::app::connection::{Close, Connection};
use crate::module::bindings::hassock::host::types::{Message, Request};

/// What the queue counts for an event beside its payload: its place, and the names in it.
const OVERHEAD: usize = 128;

/// A recording that runs.
pub(crate) struct Recording {
    options: RecordOptions,
    began: Instant,
    /// Nothing is noted any more: one load for those who are still tapped.
    over: AtomicBool,
    state: Mutex<QueueState>,
    changed: Notify,
}

/// Somebody has asked for a WebSocket and has no answer yet. The recording keeps the place, because what the
/// module sends to others meanwhile comes of it; if this is dropped, nothing came of it.
pub(crate) struct PendingHandshake {
    recording: Arc<Recording>,
    place: u64,
    client: Arc<str>,
    /// Binding when there is an answer.
    request: Option<Box<Request>>,
}

/// What a recorded connection tells its recording.
pub(crate) struct Tap {
    recording: Arc<Recording>,
    client: Arc<str>,
    ended: AtomicBool,
}

/// What happened, as it was: nothing is left out yet.
pub(crate) enum RawEvent {
    Connected { client: Arc<str>, request: Box<Request>, id: u64, answer: Box<HeaderMap> },
    Refused { client: Arc<str>, request: Box<Request>, status: StatusCode, body: Bytes },
    Sent { client: Arc<str>, message: Message },
    Received { client: Arc<str>, frame: Frame },
    Fired,
    Ended { client: Arc<str>, close: Close },
}

/// What there is to be read.
pub(crate) enum Next {
    /// This, so long after the beginning.
    RawEvent(Duration, RawEvent),
    /// Nothing yet.
    Nothing,
    /// Nothing ever.
    End(End),
}

/// How a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    CutShort,
    /// More than the order's bytes waited for the reader.
    TooSlow,
}

#[derive(Default)]
struct QueueState {
    queue: VecDeque<Slot>,
    /// The place of the first in the queue, counted from the beginning.
    first: u64,
    /// Bytes of the queue.
    bytes: usize,
    /// How many have asked: gives them their names.
    asked: usize,
    opening: usize,
    accepted: usize,
    open: usize,
    is_cut_short: bool,
    is_too_slow: bool,
}

struct Slot {
    at: Duration,
    bytes: usize,
    content: Content,
}

enum Content {
    /// Whoever asked has no answer yet.
    Open,
    /// Nothing came of it.
    Void,
    RawEvent(RawEvent),
}

impl Recording {
    pub(crate) fn new(options: RecordOptions) -> Self {
        Self {
            options,
            began: Instant::now(),
            over: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn ask(self: &Arc<Self>, request: impl FnOnce() -> Request) -> Option<PendingHandshake> {
        let mut state = self.state.lock();
        if self.is_over() || state.is_cut_short || state.accepted + state.opening >= self.options.connections {
            return None;
        }
        let request = request();
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = request.path.len() + request.query.as_ref().map_or(0, String::len) + headers;
        let place = self.put(&mut state, bytes, Content::Open)?;
        state.asked += 1;
        state.opening += 1;
        let client = format!("c{}", state.asked).into();
        Some(PendingHandshake { recording: Arc::clone(self), place, client, request: Some(Box::new(request)) })
    }

    /// A timer is about to be fired.
    pub(crate) fn fired(&self) {
        self.note(0, || RawEvent::Fired);
    }

    /// There will be no more connections; those that are open end as they do.
    pub(crate) fn cut_short(&self) {
        self.state.lock().is_cut_short = true;
        self.changed.notify_one();
    }

    /// Nobody reads it any more.
    pub(crate) fn abandon(&self) {
        self.over.store(true, Ordering::Release);
        let mut state = self.state.lock();
        (state.queue, state.bytes) = (VecDeque::new(), 0);
    }

    /// What there is to be read next.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.state.lock();
        while let Some(slot) = state.queue.pop_front_if(|slot| !matches!(slot.content, Content::Open)) {
            state.first += 1;
            state.bytes -= slot.bytes;
            if let Content::RawEvent(event) = slot.content {
                return Next::RawEvent(slot.at, event);
            }
        }
        match state.end(self.options.connections) {
            Some(end) if state.queue.is_empty() => {
                self.over.store(true, Ordering::Release);
                Next::End(end)
            }
            _ => Next::Nothing,
        }
    }

    /// Wait until there may be more to read than at the last look.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn options(&self) -> RecordOptions {
        self.options
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn note(&self, bytes: usize, event: impl FnOnce() -> RawEvent) {
        if !self.is_over() {
            let content = Content::RawEvent(event());
            self.put(&mut self.state.lock(), bytes, content);
        }
    }

    /// Put something into the queue; none if it is over, now or before. The lock makes the times ascend.
    fn put(&self, state: &mut QueueState, bytes: usize, content: Content) -> Option<u64> {
        let bytes = bytes + OVERHEAD;
        if self.is_over() {
            return None;
        }
        if state.bytes + bytes > self.options.bytes {
            // Without this one, the rest would tell something that did not happen.
            state.is_too_slow = true;
            self.over.store(true, Ordering::Release);
            self.changed.notify_one();
            return None;
        }
        state.bytes += bytes;
        state.queue.push_back(Slot { at: self.began.elapsed(), bytes, content });
        self.changed.notify_one();
        Some(state.first + state.queue.len() as u64 - 1)
    }
}

impl QueueState {
    fn end(&self, wanted: usize) -> Option<End> {
        let is_idle = self.open == 0 && self.opening == 0;
        match () {
            () if self.is_too_slow => Some(End::TooSlow),
            () if is_idle && self.accepted >= wanted => Some(End::Complete),
            () if is_idle && self.is_cut_short => Some(End::CutShort),
            () => None,
        }
    }

    /// Whoever asked has an answer, or went without one.
    fn settle(&mut self, place: u64, bytes: usize, content: Content) {
        self.opening = self.opening.saturating_sub(1);
        let index = place.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.queue.get_mut(index)) {
            self.bytes += bytes;
            slot.bytes += bytes;
            slot.content = content;
        }
    }
}

impl PendingHandshake {
    /// The module took the connection: from now on it is recorded.
    pub(crate) fn accepted(mut self, connection: &Connection, answer: &HeaderMap) {
        let (recording, client) = (Arc::clone(&self.recording), Arc::clone(&self.client));
        let mut state = recording.state.lock();
        state.accepted += 1;
        state.open += 1;
        let (id, answer) = (connection.id, Box::new(answer.clone()));
        let bytes = answer.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.settle(&mut state, bytes, |client, request| RawEvent::Connected { client, request, id, answer });
        drop(state);
        connection.record(Tap { recording, client, ended: AtomicBool::new(false) });
    }

    /// The module or the host did not take it.
    pub(crate) fn refused(mut self, status: StatusCode, body: Bytes) {
        let recording = Arc::clone(&self.recording);
        let mut state = recording.state.lock();
        self.settle(&mut state, body.len(), |client, request| RawEvent::Refused { client, request, status, body });
    }

    /// What is more than there is room for is noticed by the next that is put into the queue.
    fn settle(&mut self, state: &mut QueueState, bytes: usize, event: impl FnOnce(Arc<str>, Box<Request>) -> RawEvent) {
        if let Some(request) = self.request.take() {
            let event = event(Arc::clone(&self.client), request);
            state.settle(self.place, bytes, Content::RawEvent(event));
            self.recording.changed.notify_one();
        }
    }
}

impl Drop for PendingHandshake {
    fn drop(&mut self) {
        if self.request.is_some() {
            self.recording.state.lock().settle(self.place, 0, Content::Void);
            self.recording.changed.notify_one();
        }
    }
}

impl Tap {
    /// The module is about to get these.
    pub(crate) fn sent(&self, messages: &[Message]) {
        for message in messages {
            let bytes = match message {
                Message::Text(text) => text.len(),
                Message::Binary(data) => data.len(),
            };
            let client = || Arc::clone(&self.client);
            self.recording.note(bytes, || RawEvent::Sent { client: client(), message: message.clone() });
        }
    }

    /// The socket is about to get this.
    pub(crate) fn received(&self, frame: &Frame) {
        if matches!(frame, Frame::Text(_) | Frame::Binary(_)) {
            let client = || Arc::clone(&self.client);
            self.recording.note(frame.len(), || RawEvent::Received { client: client(), frame: frame.clone() });
        }
    }

    /// A timer of the connection is about to be fired.
    pub(crate) fn fired(&self) {
        self.recording.fired();
    }

    /// The connection has ended; neither the client nor the module has heard of it. Only the first time counts.
    pub(crate) fn ended(&self, close: &Close) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let ended = || RawEvent::Ended { client: Arc::clone(&self.client), close: close.clone() };
        self.recording.note(close.reason.len(), ended);
        let mut state = self.recording.state.lock();
        state.open = state.open.saturating_sub(1);
        drop(state);
        self.recording.changed.notify_one();
    }
}
