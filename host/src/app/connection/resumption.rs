//! How a client has its connection again after its network has failed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use hassock_frames::Encoded;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use super::Slot;
use super::outbox::Published;
use super::unconfirmed::Unconfirmed;
use crate::auth::Verified;
use crate::client_protocol::ResumeToken;
use crate::memory_budget::MemoryBudget;
use crate::module::bindings::hassock::host::types::Request;
use crate::socket::Transport;

/// A client that is back, with another socket.
pub struct Arrival {
    /// The socket.
    pub socket: Box<dyn Transport>,
    /// What was read behind the request.
    pub read_ahead: Bytes,
    /// What the client asked for.
    pub request: Box<Request>,
    /// How many messages the client has.
    pub received: u64,
    /// The secret that it knows.
    pub(crate) secret: u128,
    /// What its token says, if it has shown one.
    pub(crate) verified: Option<Verified>,
    /// What the client takes up of the bounds of the host.
    pub slot: Slot,
}

/// What the host keeps of a connection whose client may come back.
pub(crate) struct Resumption {
    secrets: Mutex<Secrets>,
    /// How many messages of the client were handled.
    handled: AtomicU64,
    is_away: AtomicBool,
    unconfirmed: Mutex<Unconfirmed>,
    door: Mutex<Door>,
}

/// Who knows one of them is the client. There is a new one when the last one was used, so that a handshake that comes late has
/// none.
struct Secrets {
    current: u128,
    /// The one before, until the client has said something: it may not have got the current one. Whoever comes with this one gets
    /// the current one again, however often.
    previous: Option<u128>,
}

/// Which secret a client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knows {
    /// That of its last socket.
    Current,
    /// That of the socket before.
    Previous,
}

/// Where a client comes back. Boxed, because it does so rarely.
enum Door {
    Open(Option<Box<Arrival>>),
    /// The connection has ended.
    Shut,
}

impl Resumption {
    /// At most `limit` bytes are kept for the client.
    pub(super) fn new(limit: usize, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            secrets: Mutex::new(Secrets { current: rand::random(), previous: None }),
            handled: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            unconfirmed: Mutex::new(Unconfirmed::new(limit, memory)),
            door: Mutex::new(Door::Open(None)),
        }
    }

    /// The token of a connection, which its client keeps.
    pub(super) fn token(&self, connection: u64) -> ResumeToken {
        ResumeToken { connection, secret: self.secrets.lock().current }
    }

    /// Whether a client knows a secret. This takes the same time for each wrong one.
    pub(crate) fn is_known_to(&self, secret: u128) -> Option<Knows> {
        self.secrets.lock().known(secret)
    }

    /// The client has said something on its socket, so it knows the current secret.
    pub(crate) fn hear(&self) {
        self.secrets.lock().previous = None;
    }

    /// These are about to be written, see [`Unconfirmed::add`]. Returns whether the client is to be asked what it has.
    pub(super) fn written(&self, messages: &VecDeque<Encoded>, published: &[Published]) -> bool {
        self.unconfirmed.lock().add(messages.iter(), published.iter().copied())
    }

    /// A client that knows this secret and has so many messages is back. Returns what it gets again; none if it is not the client,
    /// or cannot get what it has not.
    pub(crate) fn take_up(&self, secret: u128, received: u64) -> Option<VecDeque<Encoded>> {
        let mut secrets = self.secrets.lock();
        let knows = secrets.known(secret)?;
        let mut unconfirmed = self.unconfirmed.lock();
        let rest = unconfirmed.confirm(received).then(|| unconfirmed.rest(received))?;
        if knows == Knows::Current {
            *secrets = Secrets { current: rand::random(), previous: Some(secret) };
        }
        Some(rest)
    }

    /// Whether the client cannot come back, because nothing is kept for it.
    pub(crate) fn is_given_up(&self) -> bool {
        self.unconfirmed.lock().is_given_up()
    }

    /// The client has so many messages. False if it cannot get what it has not.
    pub(crate) fn confirm(&self, received: u64) -> bool {
        self.unconfirmed.lock().confirm(received)
    }

    /// Whether the client should get nothing more before it has answered.
    pub(crate) fn is_full(&self) -> bool {
        self.unconfirmed.lock().is_full()
    }

    /// Returns whether the client is to be asked what it has, see [`Unconfirmed::ask`].
    pub(crate) fn ask(&self) -> bool {
        self.unconfirmed.lock().ask()
    }

    /// The client does not confirm what it has, or there is no memory for what it has not confirmed. Returns how many bytes that
    /// frees.
    pub(crate) fn give_up(&self) -> usize {
        self.unconfirmed.lock().give_up()
    }

    /// So many more messages of the client are handled, or are about to be.
    pub(crate) fn handle(&self, messages: usize) {
        self.handled.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// How many messages of the client are handled.
    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// The client is away.
    pub(crate) fn goes_away(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    /// The client is back.
    pub(crate) fn comes_back(&self) {
        self.is_away.store(false, Ordering::Relaxed);
    }

    /// The client is back. False if the connection has ended meanwhile, or the client has come again on another socket. One that came before, and that the session has not
    /// seen yet, is gone.
    pub(super) fn arrive(&self, arrival: Arrival) -> bool {
        if self.is_known_to(arrival.secret).is_none() {
            return false;
        }
        match &mut *self.door.lock() {
            Door::Open(place) => {
                *place = Some(Box::new(arrival));
                true
            }
            Door::Shut => false,
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Whether the client is back.
    pub(crate) fn has_arrived(&self) -> bool {
        matches!(&*self.door.lock(), Door::Open(Some(_)))
    }

    /// The client that is back, once.
    pub(crate) fn take_arrival(&self) -> Option<Box<Arrival>> {
        match &mut *self.door.lock() {
            Door::Open(place) => place.take(),
            Door::Shut => None,
        }
    }

    /// The connection ends.
    pub(super) fn end(&self) {
        *self.door.lock() = Door::Shut;
        self.unconfirmed.lock().give_up();
    }

    /// What is in memory for the client, see [`Unconfirmed::memory`].
    pub(crate) fn memory(&self) -> (usize, Vec<Published>) {
        self.unconfirmed.lock().memory()
    }
}

impl Secrets {
    fn known(&self, secret: u128) -> Option<Knows> {
        let is = |other: u128| bool::from(other.to_le_bytes().ct_eq(&secret.to_le_bytes()));
        let is_previous = self.previous.is_some_and(is);
        if is(self.current) { Some(Knows::Current) } else { is_previous.then_some(Knows::Previous) }
    }
}

impl fmt::Debug for Resumption {
    /// Without the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Resumption").field("handled", &self.handled).finish_non_exhaustive()
    }
}
