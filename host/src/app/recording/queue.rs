//! The events that happened and were not read yet: a queue that is bounded in bytes. Writers never wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hassock_frames::{Encoded, Packed, Payload};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::RecordOptions;
use crate::app::connection::{Close, Connection};
use crate::module::bindings::hassock::host::types::{Message, Request};
use crate::module::message;

/// Bytes that the queue counts for an event in addition to its payload, for the entry and the names in it.
const OVERHEAD: usize = 128;

/// A recording in progress.
pub(crate) struct Recording {
    options: RecordOptions,
    began: Instant,
    /// The recording is over and notes nothing more. Connections that still have a tap check this with one load.
    over: AtomicBool,
    state: Mutex<QueueState>,
    changed: Notify,
}

/// A handshake that has no response yet. The recording keeps its place in the order of events, because messages that
/// the module sends to other connections meanwhile result from it. If this is dropped, the handshake had no result.
pub(crate) struct PendingHandshake {
    recording: Arc<Recording>,
    place: u64,
    client: Arc<str>,
    /// Holds the version when there is a response.
    request: Option<Box<Request>>,
}

/// Reports the events of a recorded connection to its recording.
pub(crate) struct Tap {
    recording: Arc<Recording>,
    client: Arc<str>,
    ended: AtomicBool,
}

/// A raw event: nothing is redacted yet.
pub(crate) enum RawEvent {
    Connected { client: Arc<str>, request: Box<Request>, id: u64, answer: Box<HeaderMap> },
    Refused { client: Arc<str>, request: Box<Request>, status: StatusCode, body: Bytes },
    Sent { client: Arc<str>, message: Message },
    Received { client: Arc<str>, message: Encoded },
    Published { topic: String, id: Option<String>, message: Message },
    Fired,
    Ended { client: Arc<str>, close: Close },
}

/// The result of a read.
pub(crate) enum Next {
    /// An event, and how long after the beginning of the recording it happened.
    RawEvent(Duration, RawEvent),
    /// There is no event yet.
    Nothing,
    /// There are no more events.
    End(End),
}

/// How a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    CutShort,
    /// More bytes waited for the reader than the options allow.
    TooSlow,
}

#[derive(Default)]
struct QueueState {
    queue: VecDeque<Slot>,
    /// The position of the first event in the queue, counted from the beginning of the recording.
    first: u64,
    /// The number of bytes in the queue.
    bytes: usize,
    /// How many clients have requested a WebSocket. Clients are named after this number.
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
    /// The handshake has no response yet.
    Open,
    /// The handshake had no result.
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

    /// Another program is about to publish.
    pub(crate) fn published(&self, topic: &str, id: Option<&str>, payload: Payload<'_>) {
        let (topic, id, bytes) = (topic.to_owned(), id.map(str::to_owned), payload.as_bytes().len());
        self.note(bytes, || RawEvent::Published { topic, id, message: message(payload) });
    }

    /// There will be no more connections. Open connections are recorded until they end.
    pub(crate) fn cut_short(&self) {
        self.state.lock().is_cut_short = true;
        self.changed.notify_one();
    }

    /// The recording does not have a reader any more.
    pub(crate) fn abandon(&self) {
        self.over.store(true, Ordering::Release);
        let mut state = self.state.lock();
        (state.queue, state.bytes) = (VecDeque::new(), 0);
    }

    /// Read the next event.
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

    /// Wait until there may be more to read than at the last read.
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

    /// Add an event to the queue. None if the recording is over, or ends because of this event. The lock keeps the
    /// times ascending.
    fn put(&self, state: &mut QueueState, bytes: usize, content: Content) -> Option<u64> {
        let bytes = bytes + OVERHEAD;
        if self.is_over() {
            return None;
        }
        if state.bytes + bytes > self.options.bytes {
            // Without this event, the remaining ones would describe something that did not happen.
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

    /// The handshake got a response, or ended without one.
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
    /// The module accepted the connection, which is recorded from now on.
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

    /// The module or the host refused the connection.
    pub(crate) fn refused(mut self, status: StatusCode, body: Bytes) {
        let recording = Arc::clone(&self.recording);
        let mut state = recording.state.lock();
        self.settle(&mut state, body.len(), |client, request| RawEvent::Refused { client, request, status, body });
    }

    /// The next event that is added to the queue detects that the queue is too large.
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
    /// The module is about to receive these messages.
    pub(crate) fn sent(&self, messages: &Packed) {
        for payload in messages.iter() {
            let client = || Arc::clone(&self.client);
            let event = || RawEvent::Sent { client: client(), message: message(payload) };
            self.recording.note(payload.as_bytes().len(), event);
        }
    }

    /// The socket is about to receive these messages.
    pub(crate) fn received(&self, messages: &Encoded) {
        // A recording says what was sent, however it was sent.
        for message in messages.clone().inflated().split() {
            let bytes = message.payload_len();
            self.recording.note(bytes, || RawEvent::Received { client: Arc::clone(&self.client), message });
        }
    }

    /// A timer of the connection is about to be fired.
    pub(crate) fn fired(&self) {
        self.recording.fired();
    }

    /// The connection has ended. Neither the client nor the module knows it yet. Only the first call counts.
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
