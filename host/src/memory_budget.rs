//! The memory budget: what clients and modules make the host keep in memory, of all connections together (invariant 5).
//!
//! Bounds of single connections are not enough: ten thousand clients that each use a thousandth of them fill a machine.
//! Everything that lasts longer than a poll, and whose length a client or a module chooses, counts: messages that are not
//! complete or wait for the module, outboxes, attachments, payloads of timers. A published message counts once, however
//! many outboxes it is in.
//!
//! Small amounts do not count: a [`Share`] counts whole steps of 8 KiB, so the path of a short message does not touch
//! memory that all threads share, and a connection that keeps little is not refused anything when others have used up the
//! budget. Large amounts are refused first: the last eighth is there for shares of at most 64 KiB.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::config::HostLimits;

/// What a [`Share`] counts at once, in bytes. Less than that is part of what a connection costs anyway.
const STEP: usize = 8 << 10;

/// Bytes that are kept in one piece and that count: shorter ones cost hardly more than what refers to them.
pub(crate) const SHORTEST: usize = 1 << 10;

/// A share of more than this is large, in bytes.
const LARGE: usize = 64 << 10;

/// How many kinds of use there are.
const USES: usize = 5;

/// What memory is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Messages of clients that are not complete, or wait for their module.
    Input,
    /// Messages to clients.
    Outbox,
    /// Attachments of connections.
    Attachment,
    /// Payloads of timers.
    Timer,
    /// Short messages of the histories of topics. Long ones count as messages to clients for as long as they are kept.
    History,
}

/// The budget of a host.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: AtomicUsize,
    /// How many apps share it.
    apps: AtomicUsize,
    used: AtomicUsize,
    by_use: [AtomicUsize; USES],
    /// Connections that were closed because there was no room.
    closed: AtomicU64,
    shortage: Notify,
    /// The most that was refused at once since the last look at [`excess`](MemoryBudget::excess).
    refused: AtomicUsize,
}

/// The budget has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no memory left (`limits.memory_budget`)")]
pub struct OutOfMemory;

/// What one owner has of the budget for one use. It is given back when this is dropped. Only one thread at a time resizes
/// it.
#[derive(Debug)]
pub struct Share {
    budget: Arc<MemoryBudget>,
    steps: AtomicU32,
    what_for: Use,
}

/// What the budget is used for, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// The budget.
    pub limit: usize,
    /// What is used of it, for each use.
    pub used: [(&'static str, usize); USES],
    /// How many connections were closed because there was no room.
    pub closed: u64,
}

/// Bytes that count for as long as anything refers to them.
struct Kept {
    bytes: Bytes,
    budget: Arc<MemoryBudget>,
    what_for: Use,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self::of_bytes(limit))
    }

    /// Another limit from now on, for so many apps. What is in use stays.
    pub fn set_limit(&self, limit: usize, apps: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.apps.store(apps, Ordering::Relaxed);
    }

    /// Count bytes until the last clone of them is dropped.
    ///
    /// # Errors
    /// If they do not fit.
    pub fn keep(self: &Arc<Self>, what_for: Use, bytes: impl Into<Bytes>) -> Result<Bytes, OutOfMemory> {
        let bytes = bytes.into();
        if bytes.len() < SHORTEST {
            return Ok(bytes);
        }
        self.take(what_for, 0, bytes.len())?;
        Ok(Bytes::from_owner(Kept { bytes, budget: Arc::clone(self), what_for }))
    }

    /// A share without anything in it yet.
    pub fn share(self: &Arc<Self>, what_for: Use) -> Share {
        Share { budget: Arc::clone(self), steps: AtomicU32::new(0), what_for }
    }

    /// How many bytes have to be given back, so that there is room again, also for what was refused.
    pub fn excess(&self) -> usize {
        let quarter = self.limit.load(Ordering::Relaxed) / 4;
        let wanted = self.refused.swap(0, Ordering::Relaxed).min(quarter / 2);
        (self.used.load(Ordering::Relaxed) + wanted).saturating_sub(3 * quarter)
    }

    /// What the timers of one app may keep, in bytes. They belong to no connection, so closing connections does not free
    /// them: those of all apps together leave half of the budget.
    pub fn for_timers_of_an_app(&self) -> usize {
        self.limit.load(Ordering::Relaxed) / (2 * self.apps.load(Ordering::Relaxed)).max(8)
    }

    /// What the histories of one app may keep, in bytes, for the same reason: those of all apps together leave three quarters
    /// of the budget.
    pub fn for_histories_of_an_app(&self) -> usize {
        self.limit.load(Ordering::Relaxed) / (4 * self.apps.load(Ordering::Relaxed)).max(8)
    }

    /// Wait until there is, or may be, no room for something.
    pub async fn shortage(&self) {
        self.shortage.notified().await;
    }

    /// A connection was closed because there was no room.
    pub fn note_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// What the budget is used for.
    pub fn report(&self) -> MemoryReport {
        let used = |what_for: Use| (what_for.name(), self.of(what_for).load(Ordering::Relaxed));
        MemoryReport {
            limit: self.limit.load(Ordering::Relaxed),
            used: [Use::Input, Use::Outbox, Use::Attachment, Use::Timer, Use::History].map(used),
            closed: self.closed.load(Ordering::Relaxed),
        }
    }

    fn of_bytes(limit: usize) -> Self {
        Self {
            limit: limit.into(),
            apps: AtomicUsize::new(1),
            used: AtomicUsize::new(0),
            by_use: Default::default(),
            closed: AtomicU64::new(0),
            shortage: Notify::new(),
            refused: AtomicUsize::new(0),
        }
    }

    /// What large shares may use.
    fn for_large(&self) -> usize {
        self.limit.load(Ordering::Relaxed) / 8 * 7
    }

    /// Count so many bytes more, for a share that has `had` bytes.
    fn take(&self, what_for: Use, had: usize, more: usize) -> Result<(), OutOfMemory> {
        let for_large = self.for_large();
        let bound = if had + more > LARGE { for_large } else { self.limit.load(Ordering::Relaxed) };
        // Never above the bound, not even for a moment: others would be refused something.
        let within = |used: usize| used.checked_add(more).filter(|used| *used <= bound);
        let Ok(before) = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) else {
            self.refused.fetch_max(more, Ordering::Relaxed);
            self.shortage.notify_one();
            return Err(OutOfMemory);
        };
        if before + more > for_large {
            self.shortage.notify_one();
        }
        self.of(what_for).fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, what_for: Use, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.of(what_for).fetch_sub(bytes, Ordering::Relaxed);
    }

    fn of(&self, what_for: Use) -> &AtomicUsize {
        let [input, outbox, attachment, timer, history] = &self.by_use;
        match what_for {
            Use::Input => input,
            Use::Outbox => outbox,
            Use::Attachment => attachment,
            Use::Timer => timer,
            Use::History => history,
        }
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::of_bytes(HostLimits::default().memory_budget.bytes())
    }
}

impl Share {
    /// The owner has so many bytes now.
    ///
    /// # Errors
    /// If they do not fit. The share then stays as it was.
    #[inline]
    pub fn resize(&self, bytes: usize) -> Result<(), OutOfMemory> {
        // More than 32 TiB do not fit into memory.
        let steps = (bytes / STEP) as u32;
        if steps == self.steps.load(Ordering::Relaxed) { Ok(()) } else { self.count(steps) }
    }

    /// What is counted, in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.steps.load(Ordering::Relaxed) as usize * STEP
    }

    fn count(&self, steps: u32) -> Result<(), OutOfMemory> {
        let (had, has) = (self.bytes(), steps as usize * STEP);
        match has.checked_sub(had) {
            Some(more) => self.budget.take(self.what_for, had, more)?,
            None => self.budget.give_back(self.what_for, had - has),
        }
        self.steps.store(steps, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes() > 0 {
            self.budget.give_back(self.what_for, self.bytes());
        }
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.give_back(self.what_for, self.bytes.len());
    }
}

impl Use {
    /// In metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Outbox => "outbox",
            Self::Attachment => "attachment",
            Self::Timer => "timer",
            Self::History => "history",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(budget: &MemoryBudget) -> usize {
        budget.report().used.iter().map(|(_, bytes)| bytes).sum()
    }

    #[test]
    fn a_share_counts_whole_steps_and_gives_them_back() {
        let budget = MemoryBudget::new(1 << 20);
        let share = budget.share(Use::Outbox);
        for (bytes, counted) in [(0, 0), (STEP - 1, 0), (STEP, STEP), (3 * STEP + 5, 3 * STEP), (STEP + 1, STEP)] {
            share.resize(bytes).unwrap();
            assert_eq!((used(&budget), share.bytes()), (counted, counted), "{bytes} bytes");
        }
        drop(share);
        assert_eq!(used(&budget), 0);
    }

    #[test]
    fn bytes_count_once_however_often_they_are_cloned() {
        let budget = MemoryBudget::new(1 << 20);
        let bytes = budget.keep(Use::Attachment, vec![7; 5_000]).unwrap();
        let clones = vec![bytes.clone(); 10];
        assert_eq!(budget.report().used[2], ("attachment", 5_000));
        drop(bytes);
        assert_eq!((used(&budget), clones[9].len()), (5_000, 5_000));
        drop(clones);
        assert_eq!(used(&budget), 0);
        budget.keep(Use::Timer, vec![7; SHORTEST - 1]).unwrap();
        assert_eq!(used(&budget), 0, "short ones do not count");
    }

    #[tokio::test]
    async fn what_is_large_is_refused_before_what_is_small() {
        let budget = MemoryBudget::new(8 << 20);
        let large: Vec<Share> = (0..7).map(|_| budget.share(Use::Outbox)).collect();
        large.iter().for_each(|share| share.resize(1 << 20).unwrap());
        assert_eq!(budget.excess(), 1 << 20);
        assert_eq!(large[0].resize((1 << 20) + STEP), Err(OutOfMemory));
        assert_eq!((large[0].bytes(), used(&budget)), (1 << 20, 7 << 20), "nothing was counted");
        budget.shortage().await;
        assert_eq!((budget.excess(), budget.excess()), ((1 << 20) + STEP, 1 << 20), "with what was refused, once");
        let small: Vec<Share> = (0..16).map(|_| budget.share(Use::Input)).collect();
        small.iter().for_each(|share| share.resize(LARGE).unwrap());
        assert_eq!(budget.share(Use::Input).resize(STEP), Err(OutOfMemory), "the bound holds for all");
        budget.share(Use::Input).resize(STEP - 1).unwrap();
        drop(large);
        small[0].resize(1 << 20).unwrap();
    }
}
