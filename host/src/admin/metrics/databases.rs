//! Metrics of databases.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Labels};
use crate::database::{DatabaseReport, PoolReport};

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
        Family::new("database_errors", "Statements that failed, by the case of `sql.error`.").counters(encoder, errors)
    }
}

impl Scrape {
    /// One value of each pool.
    fn pools<'a>(&'a self, value: impl Fn(&PoolReport) -> usize) -> impl Iterator<Item = (Labels<'a>, usize)> {
        let pools = self.0.iter().flat_map(|report| report.pools.iter().map(move |pool| (report, pool)));
        pools.map(move |(report, pool)| {
            (vec![("database", report.database.as_str()), ("access", pool.access)], value(pool))
        })
    }
}
