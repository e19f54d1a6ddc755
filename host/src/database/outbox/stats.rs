//! What a relay has done with the rows of an outbox, counted for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The counts of one outbox since its database was opened.
#[derive(Debug, Default)]
pub(crate) struct OutboxStats {
    published: AtomicU64,
    removed: AtomicU64,
    strangers: AtomicU64,
    statements: AtomicU64,
    oldest_millis: AtomicU64,
    leads: AtomicBool,
}

/// What is known about an outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OutboxReport {
    /// Rows that were published.
    pub published: u64,
    /// Rows that could never be published, and were removed.
    pub removed: u64,
    /// Rows that wait, at the last look, because no app that has the grant is of their name.
    pub strangers: u64,
    /// Statements of the relay.
    pub statements: u64,
    /// The age of the oldest row that waited at the last look, in seconds.
    pub oldest_seconds: f64,
    /// Whether it is this host that publishes the rows.
    pub leads: bool,
}

impl OutboxStats {
    pub(crate) fn note_published(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_removed(&self) {
        self.removed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_strangers(&self, rows: u64) {
        self.strangers.store(rows, Ordering::Relaxed);
    }

    pub(crate) fn set_oldest(&self, age: Duration) {
        self.oldest_millis.store(u64::try_from(age.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    pub(super) fn note_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::database) fn report(&self) -> OutboxReport {
        OutboxReport {
            published: self.published.load(Ordering::Relaxed),
            removed: self.removed.load(Ordering::Relaxed),
            strangers: self.strangers.load(Ordering::Relaxed),
            statements: self.statements.load(Ordering::Relaxed),
            oldest_seconds: Duration::from_millis(self.oldest_millis.load(Ordering::Relaxed)).as_secs_f64(),
            leads: self.leads.load(Ordering::Relaxed),
        }
    }
}
