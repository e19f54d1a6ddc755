//! One accepted WebSocket, as the rest of the host sees it.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use hassock_frames::{Deflate, Encoded};
use parking_lot::Mutex;

use super::close::Close;
use super::outbox::{Outbox, Published};
use super::protocol_client::ProtocolClient;
use super::resumption::{Arrival, Resumption};
use super::token_in_use::TokenInUse;
use super::version_binding::VersionBinding;
use crate::app::recording::Tap;
use crate::auth::Verified;
use crate::client_protocol::{ClientState, Position, ToClient};
use crate::memory_budget::{MemoryBudget, Share, Use};

/// A timer of a connection that is due.
#[derive(Debug)]
pub struct DueTimer {
    /// The name of the timer.
    pub name: Arc<str>,
    /// Tells apart timers with the same name: a timer that was replaced or cancelled since is not fired.
    pub generation: u64,
    /// The payload that the module gave with the timer.
    pub payload: Bytes,
}

/// Whether a client has had its connection before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IsBack {
    /// It has had it before.
    Yes,
    /// The module has just opened it.
    No,
}

/// Why a session is to give up what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The host needs the memory.
    Evicted,
    /// The client is back, with another socket.
    ClientIsBack,
}

/// What a client takes up of the bounds of the host: it is free again when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Slot {
    _place: Option<Arc<dyn Any + Send + Sync>>,
}

impl Slot {
    /// A slot that is free again when `place` is dropped.
    pub(crate) fn new(place: impl Any + Send + Sync) -> Self {
        Self { _place: Some(Arc::new(place)) }
    }
}

/// The host's data of a connection. The session's task owns the socket; everything else uses this.
pub struct Connection {
    /// The id of the connection. It is never used twice.
    pub id: u64,
    /// The messages to write.
    pub outbox: Outbox,
    /// What the session has read and the module has not handled yet.
    pub(crate) input: Share,
    /// The attachment: bytes that belong to the module.
    pub attachment: Mutex<Bytes>,
    /// The version that serves the connection.
    pub binding: VersionBinding,
    /// The app has forgotten the connection, or is about to: it gets no topics and no timers any more. This is set before
    /// those are taken away, and read under the lock under which they are, so that none comes in between.
    pub(crate) is_forgotten: AtomicBool,
    /// The session is to end even if the client takes no bytes.
    is_evicted: AtomicBool,
    /// Its calls are traced.
    is_traced: AtomicBool,
    /// It has not got everything yet that is kept of its topics.
    is_behind: AtomicBool,
    /// What the module tells others about it. Boxed: most connections have nothing of it.
    presence: Mutex<Option<Box<Bytes>>>,
    /// What its client has said in the client protocol, if it speaks that.
    pub(crate) client: Option<Box<ProtocolClient>>,
    /// The token that its client has shown. Boxed: most connections have none.
    pub(crate) token: Option<Box<TokenInUse>>,
    /// What the connection takes up of the bounds of the host.
    slot: Mutex<Slot>,
    /// The topics that the connection is subscribed to. Lock this after the topics' own lock, never before.
    pub(crate) topics: Mutex<BTreeSet<Arc<str>>>,
    due: Mutex<Vec<DueTimer>>,
    /// The recording of the connection, if it is recorded.
    tap: OnceLock<Tap>,
    /// Something happened since the session last checked. One load replaces two locks at each poll.
    wakeup: AtomicBool,
    session: AtomicWaker,
}

impl Connection {
    /// A connection that the module has not opened yet.
    pub fn new(id: u64, outbox_bytes: usize) -> Self {
        Self::in_slot(id, outbox_bytes, &Arc::default(), Slot::default())
    }

    /// The same, which keeps the slot for as long as anything of the connection is left. If only its task did, clients
    /// that come and go could make a module that is busy owe any number of them their `closed`.
    pub(crate) fn in_slot(id: u64, outbox_bytes: usize, memory: &Arc<MemoryBudget>, slot: Slot) -> Self {
        Self {
            id,
            slot: Mutex::new(slot),
            input: memory.share(Use::Input),
            is_evicted: AtomicBool::new(false),
            is_traced: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            presence: Mutex::default(),
            client: None,
            token: None,
            outbox: Outbox::new(outbox_bytes, memory),
            attachment: Mutex::default(),
            binding: VersionBinding::default(),
            is_forgotten: AtomicBool::new(false),
            topics: Mutex::default(),
            due: Mutex::default(),
            tap: OnceLock::new(),
            wakeup: AtomicBool::new(true),
            session: AtomicWaker::new(),
        }
    }

    /// The same, whose client may have agreed to compression.
    pub(crate) fn deflating(mut self, deflate: Option<Deflate>) -> Self {
        self.outbox = self.outbox.deflating(deflate);
        self
    }

    /// The same, whose client speaks the client protocol and has what `state` says from before.
    pub(crate) fn speaking(mut self, state: Option<ClientState>) -> Self {
        if let Some(state) = state {
            self.outbox = self.outbox.speaking();
            self.client = Some(Box::new(ProtocolClient::new(state)));
        }
        self
    }

    /// The same, whose client has shown a token.
    pub(crate) fn entitled(mut self, verified: Option<&Verified>) -> Self {
        self.token = verified.map(|verified| Box::new(TokenInUse::new(verified)));
        self
    }

    /// The same, whose client may have the connection again after its network has failed. So many bytes are kept for it.
    pub(crate) fn resumable(mut self, limit: usize, memory: &Arc<MemoryBudget>) -> Self {
        if let Some(client) = &mut self.client {
            client.resumption = Some(Resumption::new(limit, memory));
        }
        self
    }

    /// What the host keeps for the client, if it may have the connection again.
    #[inline]
    pub(crate) fn resumption(&self) -> Option<&Resumption> {
        self.client.as_ref()?.resumption.as_ref()
    }

    /// Whether so much is not confirmed that the client should get nothing more before it has answered.
    pub(crate) fn is_unsure(&self) -> bool {
        self.resumption().is_some_and(Resumption::is_full)
    }

    /// The client is back. False if the connection has ended meanwhile.
    pub(crate) fn arrive(&self, arrival: Arrival) -> bool {
        let has_arrived = self.resumption().is_some_and(|resumption| resumption.arrive(arrival));
        self.wake();
        has_arrived
    }

    /// Whether its client is away, and may come back.
    pub(crate) fn is_away(&self) -> bool {
        self.resumption().is_some_and(Resumption::is_away)
    }

    /// From now on, the connection takes up this of the bounds of the host.
    pub(crate) fn occupy(&self, slot: Slot) {
        *self.slot.lock() = slot;
    }

    /// These messages of the outbox are about to be written. Returns whether the client is to be asked what it has.
    pub(crate) fn note_written(&self, messages: &VecDeque<Encoded>) -> bool {
        let Some(resumption) = self.resumption() else { return false };
        resumption.written(messages, &self.outbox.taken_published())
    }

    /// The connection ends, so its client cannot have it again.
    pub(crate) fn end_resumption(&self) {
        if let Some(resumption) = self.resumption() {
            resumption.end();
        }
    }

    /// What the module tells others about it, if it does.
    pub(crate) fn presence(&self) -> Option<String> {
        self.presence.lock().as_ref().map(|presence| String::from_utf8_lossy(presence).into_owned())
    }

    /// Tell others this about it from now on.
    pub(crate) fn set_presence(&self, presence: Bytes) {
        *self.presence.lock() = (!presence.is_empty()).then(|| Box::new(presence));
    }

    /// Whether its client speaks the client protocol.
    #[inline]
    pub(crate) fn speaks(&self) -> bool {
        self.outbox.speaks()
    }

    /// The first message to a client of the protocol, which gets a heartbeat so often. `is_back`: it has had this connection
    /// before.
    pub(crate) fn greeting(&self, heartbeat: Duration, is_back: IsBack) -> Option<Encoded> {
        let client = self.client.as_ref()?;
        let (resumed, received) = match is_back {
            IsBack::No => (client.has_asked().then_some(false), None),
            IsBack::Yes => (Some(true), self.handled()),
        };
        let connected = ToClient::Connected {
            connection: self.id,
            heartbeat: u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX),
            subprotocol: client.subprotocol(),
            expires: self.token.as_ref().and_then(|token| token.expires()),
            resume: client.resumption.as_ref().map(|resumption| resumption.token(self.id)),
            resumed,
            received,
        };
        Some(connected.encoded())
    }

    /// What says to a client of the protocol that the host is there.
    pub(crate) fn heartbeat(&self) -> Encoded {
        ToClient::Heartbeat { received: self.handled() }.encoded()
    }

    fn handled(&self) -> Option<u64> {
        self.resumption().map(Resumption::handled)
    }

    /// The position up to which the client has the messages of a topic, once.
    pub(crate) fn take_since(&self, topic: &str) -> Option<Position> {
        self.client.as_ref()?.take_since(topic)
    }

    /// It has not got everything yet that is kept of its topics.
    pub(crate) fn fall_behind(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
    }

    /// Whether it has not got everything yet that is kept of its topics.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// It is about to get more of what is kept.
    pub(crate) fn catch_up(&self) {
        self.is_behind.store(false, Ordering::Relaxed);
    }

    /// Make the session check its outbox and its timers.
    pub fn wake(&self) {
        self.wakeup.store(true, Ordering::Release);
        self.session.wake();
    }

    /// Close the connection after its queued messages have been written. Nothing happens if it closes already.
    pub(crate) fn close(&self, close: Close) {
        if self.outbox.close(close).is_ok() {
            self.wake();
        }
    }

    /// End the connection now, because the host needs the memory that it uses. False if that was done before.
    pub(crate) fn evict(&self, close: Close) -> bool {
        let is_first = !self.is_evicted.swap(true, Ordering::Relaxed);
        if is_first {
            self.outbox.overflow(close);
            self.wake();
        }
        is_first
    }

    /// Why the session is to give up what it writes. If there is no reason, `waker` is woken when there is.
    pub(crate) fn interruption(&self, waker: &Waker) -> Option<Interruption> {
        self.session.register(waker);
        if self.is_evicted.load(Ordering::Relaxed) {
            return Some(Interruption::Evicted);
        }
        self.resumption().is_some_and(Resumption::has_arrived).then_some(Interruption::ClientIsBack)
    }

    /// What the host keeps for the connection, without its timers: bytes for it alone, and published messages.
    pub(crate) fn memory(&self) -> (usize, Vec<Published>) {
        let (mut outbox, mut published) = self.outbox.memory();
        if let Some(resumption) = self.resumption() {
            let (unconfirmed, shared) = resumption.memory();
            outbox += unconfirmed;
            published.extend(shared);
        }
        (self.input.bytes() + outbox + self.attachment.lock().len() + self.binding.bytes(), published)
    }

    /// Trace its calls from now on.
    pub(crate) fn trace(&self) {
        self.is_traced.store(true, Ordering::Relaxed);
    }

    /// Whether its calls are traced.
    pub(crate) fn is_traced(&self) -> bool {
        self.is_traced.load(Ordering::Relaxed)
    }

    /// Record the connection from now on. It was opened just now, so it has no other recording.
    pub(crate) fn record(&self, tap: Tap) {
        let _ = self.tap.set(tap);
    }

    /// Tell the recording that the connection ends. This comes before the client is told, so that anything the client
    /// does next is recorded later.
    pub(crate) fn note_end(&self, close: &Close) {
        if let Some(tap) = self.tap() {
            tap.ended(close);
        }
    }

    /// The recording of the connection, if it is recorded.
    pub(crate) fn tap(&self) -> Option<&Tap> {
        self.tap.get()
    }

    /// A timer is due.
    pub fn push_due(&self, timer: DueTimer) {
        self.due.lock().push(timer);
        self.wake();
    }

    /// Whether timers are due now.
    pub(crate) fn has_due(&self) -> bool {
        !self.due.lock().is_empty()
    }

    /// The timers that are due now, in the order in which they became due.
    pub(crate) fn take_due(&self) -> Vec<DueTimer> {
        std::mem::take(&mut *self.due.lock())
    }

    /// During a call nothing is read, so no confirmation either. A client that reads gets what is sent to it nevertheless, as one
    /// that cannot come back does.
    pub(crate) fn give_up_if_stuck(&self) {
        if let Some(resumption) = self.resumption().filter(|resumption| resumption.is_full()) {
            resumption.give_up();
        }
    }

    /// Wait until there are messages to write, which is true, or `something_else` is.
    pub(crate) async fn messages_or(&self, mut something_else: impl FnMut(&mut Context<'_>) -> bool) -> bool {
        poll_fn(|context| {
            self.session.register(context.waker());
            match self.outbox.has_messages() {
                true => Poll::Ready(true),
                false if something_else(context) => Poll::Ready(false),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Whether something happened since the last check. If not, `waker` is woken when something does.
    pub(crate) fn take_wakeup(&self, waker: &Waker) -> bool {
        // Register first and check afterwards, so that an event in between is either seen or wakes the task.
        self.session.register(waker);
        self.wakeup.load(Ordering::Acquire) && self.wakeup.swap(false, Ordering::AcqRel)
    }
}
