//! What is kept of a topic: its last messages, each with its position, and the subscribers that still read them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hassock_frames::Encoded;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::policy::Policy;
use super::replica::Replica;
use super::topic::Headers;
use crate::app::connection::{Connection, MESSAGE_OVERHEAD};
use crate::client_protocol::{Gap, Position};
use crate::memory_budget::{SHORTEST, Share};

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next message.
    Now,
    /// With the first message after this position.
    Since(Position),
    /// With the last messages, so many at most.
    Last(usize),
}

/// A message that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its offset.
    pub offset: u64,
    /// The message, not compressed.
    pub message: Encoded,
    /// The id that its publisher gave it.
    pub id: Option<Arc<str>>,
    /// The subscriber that does not get it.
    pub(super) except: Option<u64>,
    at: Instant,
}

/// The history of a topic.
pub(super) struct History {
    pub(super) policy: Policy,
    ledger: Arc<Ledger>,
    /// The epoch of its positions.
    epoch: u64,
    /// What is here of the history of a cluster, if the host is in one.
    pub(super) replica: Option<Replica>,
    messages: VecDeque<Kept>,
    /// What they count for the bounds.
    bytes: usize,
    /// What they count for the memory budget here: large ones count by themselves.
    own: usize,
    share: Share,
    /// The offset of the last message, whether it is kept or not.
    last: u64,
    /// The offset of the last message that is not kept any more, and why.
    trimmed: (u64, Gap),
    /// Subscribers that read what is kept before they get the messages that are published, and up to where they have it.
    pub(super) behind: BTreeMap<u64, Behind>,
}

/// A subscriber that has not read everything yet.
pub(super) struct Behind {
    pub(super) connection: Arc<Connection>,
    pub(super) offset: u64,
}

impl History {
    pub(super) fn new(policy: Policy, ledger: &Arc<Ledger>, replica: Option<Replica>) -> Self {
        let forgotten = if replica.is_some() { 0 } else { ledger.forgotten() };
        Self {
            policy,
            epoch: ledger.epoch(),
            replica,
            ledger: Arc::clone(ledger),
            messages: VecDeque::new(),
            bytes: 0,
            own: 0,
            share: ledger.share(),
            last: forgotten,
            trimmed: (forgotten, Gap::Age),
            behind: BTreeMap::new(),
        }
    }

    pub(super) fn set_policy(&mut self, policy: Policy, now: Instant) {
        self.policy = policy;
        self.expire(now);
        self.trim();
    }

    /// The position of the last message.
    pub(super) fn position(&self) -> Position {
        self.position_of(self.last)
    }

    /// The position with an offset.
    pub(super) fn position_of(&self, offset: u64) -> Position {
        Position { epoch: self.epoch, offset }
    }

    /// Keep a message, as far as the bounds allow. Returns its position.
    pub(super) fn append(&mut self, message: &Encoded, headers: &Headers<'_>, now: Instant) -> Position {
        self.expire(now);
        self.last = match headers.place {
            Some(place) => place.sequence,
            None => self.ledger.next_offset(),
        };
        let (id, except) = (headers.id.map(Into::into), headers.except);
        let at = headers.place.and_then(|place| now.checked_sub(place.age)).unwrap_or(now);
        let kept = Kept { offset: self.last, message: message.clone(), id, except, at };
        let (bytes, own) = (kept.bytes(), kept.own());
        self.bytes += bytes;
        self.own += own;
        self.messages.push_back(kept);
        self.ledger.added(bytes);
        self.trim();
        if self.share.resize(self.own).is_err() {
            while self.drop_oldest(Gap::Bytes) {}
        }
        self.position()
    }

    /// Why something after this position is missing, if it is.
    pub(super) fn gap_after(&self, position: Position) -> Option<Gap> {
        match position.epoch == self.epoch {
            true => self.gap_after_offset(position.offset),
            false => Some(Gap::Restart),
        }
    }

    pub(super) fn gap_after_offset(&self, offset: u64) -> Option<Gap> {
        let (trimmed, reason) = self.trimmed;
        (offset < trimmed).then_some(reason)
    }

    /// The offset after which a subscription begins, and why something is missing before it.
    pub(super) fn begin(&mut self, start: Start, now: Instant) -> (u64, Option<Gap>) {
        self.expire(now);
        match start {
            Start::Now => (self.last, None),
            Start::Since(position) => match self.gap_after(position) {
                None => (position.offset.min(self.last), None),
                gap => (self.trimmed.0, gap),
            },
            Start::Last(count) => {
                let skipped = self.messages.len().saturating_sub(count);
                let first = self.messages.get(skipped).map_or(self.last, |kept| kept.offset - 1);
                (first, None)
            }
        }
    }

    /// The messages after an offset, oldest first.
    pub(super) fn after(&self, offset: u64) -> impl DoubleEndedIterator<Item = &Kept> {
        let first = self.messages.partition_point(|kept| kept.offset <= offset);
        self.messages.range(first..)
    }

    /// The offset of the last message that is not kept any more.
    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed.0
    }

    /// Forget what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.messages.front().is_some_and(|oldest| now.duration_since(oldest.at) >= self.policy.keep) {
            self.drop_oldest(Gap::Age);
        }
        self.recount();
    }

    /// When the oldest message was published.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.messages.front().map(|oldest| oldest.at)
    }

    /// Forget the oldest message. False if there is none.
    pub(super) fn drop_oldest(&mut self, reason: Gap) -> bool {
        let Some(oldest) = self.messages.pop_front() else {
            // An idle topic keeps no room for them.
            self.messages = VecDeque::new();
            return false;
        };
        self.trimmed = (oldest.offset, reason);
        self.bytes -= oldest.bytes();
        self.own -= oldest.own();
        self.ledger.dropped(oldest.bytes());
        self.ledger.note_trimmed(reason);
        true
    }

    /// There is less than before.
    pub(super) fn recount(&mut self) {
        // Less is never refused.
        let _ = self.share.resize(self.own);
    }

    /// Whether there is nothing that a client could ask for.
    pub(super) fn is_empty(&self) -> bool {
        match &self.replica {
            // The cluster has the messages.
            Some(replica) => replica.waiting.is_empty() && self.behind.is_empty(),
            None => self.messages.is_empty() && self.behind.is_empty(),
        }
    }

    /// Begin anew behind an offset up to which nothing is kept, for that reason.
    pub(super) fn restart(&mut self, epoch: u64, trimmed: u64, reason: Gap) {
        while self.drop_oldest(reason) {}
        (self.epoch, self.trimmed) = (epoch, (trimmed, reason));
        self.last = trimmed;
        self.recount();
    }

    /// Nothing has come up to this offset.
    pub(super) fn pass(&mut self, offset: u64) {
        self.last = self.last.max(offset);
    }

    /// Keep the bounds.
    fn trim(&mut self) {
        while self.messages.len() > self.policy.messages {
            self.drop_oldest(Gap::Count);
        }
        while self.bytes > self.policy.bytes {
            self.drop_oldest(Gap::Bytes);
        }
        // A topic makes room for its own messages. What other topics keep, the sweep evens out, which has to come soon.
        while self.ledger.bytes() > self.ledger.limit() && self.drop_oldest(Gap::Bytes) {
            self.ledger.to_sweep.notify_one();
        }
        self.recount();
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.messages.iter().for_each(|kept| self.ledger.dropped(kept.bytes()));
        if self.replica.is_none() {
            self.ledger.forget(self.last);
        }
    }
}

impl Kept {
    /// What it counts for the bounds.
    pub(super) fn bytes(&self) -> usize {
        self.message.payload_len() + self.id.as_ref().map_or(0, |id| id.len()) + MESSAGE_OVERHEAD
    }

    fn own(&self) -> usize {
        let bytes = self.message.as_bytes().len();
        let short = if bytes < SHORTEST { bytes } else { 0 };
        short + self.id.as_ref().map_or(0, |id| id.len()) + MESSAGE_OVERHEAD
    }
}
