//! Metrics of the whole host, beside those of its apps.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::memory_budget::MemoryReport;

/// What the memory budget says at a scrape.
#[derive(Debug)]
pub(super) struct MemoryScrape(pub(super) MemoryReport);

impl Collector for MemoryScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let bytes = |bytes: usize| ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let help = "What clients and modules may make the host keep in memory: `limits.memory_budget`.";
        let family = encoder.encode_descriptor("memory_budget", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        bytes(self.0.limit).encode(family)?;
        let help = "What is used of the memory budget.";
        let mut family = encoder.encode_descriptor("memory_used", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for (what_for, used) in self.0.used {
            bytes(used).encode(family.encode_family(&[("use", what_for)])?)?;
        }
        let help = "Connections that were closed because the memory budget was used up.";
        let family = encoder.encode_descriptor("memory_closes", help, None, MetricType::Counter)?;
        ConstCounter::new(self.0.closed).encode(family)
    }
}
