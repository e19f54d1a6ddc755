//! What the histories of an app share: the epoch, the offsets, the room for what they keep, and counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hassock_frames::Encoded;
use tokio::sync::Notify;

use crate::client_protocol::{Gap, Position};
use crate::memory_budget::{MemoryBudget, Share, Use};

/// The numbers of an app's histories. All topics take their offsets from one counter, so that a topic that was idle and is
/// forgotten can begin again without using an offset twice, and without a memory of each name.
#[derive(Debug)]
pub(super) struct Ledger {
    epoch: u64,
    last: AtomicU64,
    /// The largest offset of any topic that was forgotten.
    forgotten: AtomicU64,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    limit: AtomicUsize,
    trimmed: [AtomicU64; Gap::ALL.len()],
    recovered: AtomicU64,
    gaps: [AtomicU64; Gap::ALL.len()],
    memory: Arc<MemoryBudget>,
    /// There is something to sweep again, or the histories need more room.
    pub(super) to_sweep: Notify,
}

/// What the histories of an app keep, and what became of those who asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryReport {
    /// Messages that are kept.
    pub messages: usize,
    /// Bytes that are kept.
    pub bytes: usize,
    /// Messages that are not kept any more, by reason.
    pub trimmed: Vec<(&'static str, u64)>,
    /// Subscriptions that got everything after their position.
    pub recovered: u64,
    /// Subscriptions that did not, by reason.
    pub gaps: Vec<(&'static str, u64)>,
}

impl Ledger {
    pub(super) fn new(epoch: u64, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            epoch,
            last: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            trimmed: Default::default(),
            recovered: AtomicU64::new(0),
            gaps: Default::default(),
            memory: Arc::clone(memory),
            to_sweep: Notify::new(),
        }
    }

    pub(super) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes all histories may keep.
    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed).min(self.memory.for_histories_of_an_app())
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn position(&self, offset: u64) -> Position {
        Position { epoch: self.epoch, offset }
    }

    /// The offset of the next message of a topic, whose lock the caller has.
    pub(super) fn next_offset(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A topic with this last offset is forgotten.
    pub(super) fn forget(&self, last: u64) {
        self.forgotten.fetch_max(last, Ordering::Relaxed);
    }

    /// Up to where a topic that is new may have had messages.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// What the short messages of one history count for the memory budget.
    pub(super) fn share(&self) -> Share {
        self.memory.share(Use::History)
    }

    /// A message with a header, which counts for the memory budget. None if the host has no memory for it.
    pub(super) fn keep(&self, message: Encoded) -> Option<Encoded> {
        message.kept(|bytes| self.memory.keep(Use::Outbox, bytes)).ok()
    }

    /// A message is kept.
    pub(super) fn added(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.messages.fetch_add(1, Ordering::Relaxed) == 0 {
            self.to_sweep.notify_one();
        }
    }

    /// A message is not kept any more. It had so many bytes.
    pub(super) fn dropped(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn note_trimmed(&self, reason: Gap) {
        count(&self.trimmed, reason);
    }

    /// A subscription that began at a position got everything, or did not.
    pub(super) fn note_recovery(&self, gap: Option<Gap>) {
        match gap {
            Some(gap) => count(&self.gaps, gap),
            None => drop(self.recovered.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(super) fn report(&self) -> HistoryReport {
        HistoryReport {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes(),
            trimmed: by_reason(&self.trimmed),
            recovered: self.recovered.load(Ordering::Relaxed),
            gaps: by_reason(&self.gaps),
        }
    }
}

fn count(counters: &[AtomicU64; Gap::ALL.len()], reason: Gap) {
    if let Some(counter) = counters.get(reason as usize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn by_reason(counters: &[AtomicU64; Gap::ALL.len()]) -> Vec<(&'static str, u64)> {
    Gap::ALL.iter().zip(counters).map(|(gap, count)| (gap.name(), count.load(Ordering::Relaxed))).collect()
}
