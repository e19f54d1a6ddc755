//! Metrics of databases.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Labels};
use crate::database::{DatabaseReport, OutboxReport, PoolReport};

#[derive(Debug)]
pub(super) struct Scrape(pub(super) Vec<DatabaseReport>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        Family::new("database_sessions", "Sessions of a pool that calls use now.")
            .gauges(encoder, self.pools(|pool| pool.busy))?;
        Family::new("database_sessions_limit", "The most sessions of a pool that calls may use.")
            .gauges(encoder, self.pools(|pool| pool.limit))?;
        let times = self.0.iter().map(|report| (vec![("database", report.database.as_str())], &report.times));
        let help = "How long statements, commits and rollbacks took, with the wait for a session.";
        Family::seconds("database_statement_duration", help).histograms(encoder, times)?;
        let errors = self.0.iter().flat_map(|report| {
            let labels = |kind| vec![("database", report.database.as_str()), ("kind", kind)];
            report.errors.iter().map(move |(kind, count)| (labels(*kind), *count))
        });
        Family::new("database_errors", "Statements that failed, by the case of `sql.error`.")
            .counters(encoder, errors)?;
        self.outboxes(encoder)
    }
}

impl Scrape {
    fn outboxes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        Family::new("outbox_published", "Rows of the table `hassock_outbox` that were published.")
            .counters(encoder, self.of_outboxes(|outbox| outbox.published))?;
        Family::new("outbox_removed", "Rows that could never be published.")
            .counters(encoder, self.of_outboxes(|outbox| outbox.removed))?;
        Family::new("outbox_statements", "Statements with which the host reads and removes rows.")
            .counters(encoder, self.of_outboxes(|outbox| outbox.statements))?;
        Family::new("outbox_foreign_rows", "Rows that wait for apps without a grant.")
            .gauges(encoder, self.of_outboxes(|outbox| usize::try_from(outbox.strangers).unwrap_or(usize::MAX)))?;
        Family::seconds("outbox_oldest", "The age of the oldest row that waited at the last look.")
            .fractions(encoder, self.of_outboxes(|outbox| outbox.oldest_seconds))?;
        Family::new("outbox_relaying", "1 if this host publishes the rows, 0 if another one does.")
            .gauges(encoder, self.of_outboxes(|outbox| usize::from(outbox.leads)))
    }

    /// One value of each outbox.
    fn of_outboxes<'a, T>(&'a self, value: impl Fn(&OutboxReport) -> T) -> impl Iterator<Item = (Labels<'a>, T)> {
        let outboxes = self.0.iter().filter_map(|report| Some((report, report.outbox.as_ref()?)));
        outboxes.map(move |(report, outbox)| (vec![("database", report.database.as_str())], value(outbox)))
    }

    /// One value of each pool.
    fn pools<'a>(&'a self, value: impl Fn(&PoolReport) -> usize) -> impl Iterator<Item = (Labels<'a>, usize)> {
        let pools = self.0.iter().flat_map(|report| report.pools.iter().map(move |pool| (report, pool)));
        pools.map(move |(report, pool)| {
            (vec![("database", report.database.as_str()), ("access", pool.access)], value(pool))
        })
    }
}
