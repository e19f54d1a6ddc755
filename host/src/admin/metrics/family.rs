//! Writes families of samples.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::histogram::Times;

/// Upper bounds of a histogram's buckets in microseconds: powers of four, from what an echo takes to twice the longest call
/// that the defaults allow. Always the same ones, because a scraper subtracts one scrape from the next; and few, because
/// each is a time series.
const BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// The labels of a sample.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// What a family is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Without prefix, unit and suffix.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<&'static Unit>,
}

impl Family {
    /// A family without a unit.
    pub(super) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None }
    }

    /// A family of bytes.
    pub(super) const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: Some(&Unit::Bytes) }
    }

    /// A family of seconds.
    pub(super) const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: Some(&Unit::Seconds) }
    }

    /// Write counters.
    pub(super) fn counters<'a>(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) -> fmt::Result {
        self.each(encoder, MetricType::Counter, samples, |count, sample| ConstCounter::new(count).encode(sample))
    }

    /// Write gauges of whole numbers.
    pub(super) fn gauges<'a>(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels<'a>, usize)>,
    ) -> fmt::Result {
        self.each(encoder, MetricType::Gauge, samples, |value, sample| ConstGauge::new(value as u64).encode(sample))
    }

    /// Write gauges.
    pub(super) fn fractions<'a>(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        self.each(encoder, MetricType::Gauge, samples, |value, sample| ConstGauge::new(value).encode(sample))
    }

    /// Write histograms of times.
    pub(super) fn histograms<'a>(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels<'a>, &'a Times)>,
    ) -> fmt::Result {
        self.each(encoder, MetricType::Histogram, samples, |times, mut sample| {
            sample.encode_histogram::<NoLabelSet>(times.sum_micros / MICROS, times.count, &buckets(times), None)
        })
    }

    /// Write the samples of a family. One without labels is the only one.
    pub(super) fn each<'a, T>(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        kind: MetricType,
        samples: impl IntoIterator<Item = (Labels<'a>, T)>,
        write: impl Fn(T, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, self.unit, kind)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                return write(value, family);
            }
            write(value, family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// How many fell into each bucket, in seconds. The histogram's own buckets are finer and cumulative. Of a bound that it does
/// not have, the next lower one counts: nothing looks faster than it was.
fn buckets(times: &Times) -> Vec<(f64, u64)> {
    let at_most = |bound: f64| {
        let below = times.below.iter().take_while(|(micros, _)| *micros <= bound);
        below.last().map_or(0, |(_, count)| *count)
    };
    let mut before = 0;
    let mut each = |seconds: f64, cumulative: u64| (seconds, cumulative - std::mem::replace(&mut before, cumulative));
    let mut buckets: Vec<_> = BUCKETS.iter().map(|bound| each(bound / MICROS, at_most(*bound))).collect();
    buckets.push(each(f64::INFINITY, times.count));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_buckets_and_nothing_looks_faster_than_it_was() {
        let below = vec![(0.5, 10), (3.0, 20), (5.0, 500), (60.0, 900), (100.0, 1_100), (300.0, 1_199), (9e7, 1_200)];
        let found = buckets(&Times { count: 1_200, sum_micros: 6e4, below });
        let expected = [(1.0, 10), (4.0, 10), (16.0, 480), (64.0, 400), (256.0, 200), (1_024.0, 99)];
        for ((bound, count), (seconds, found)) in expected.iter().zip(&found) {
            assert!((bound / MICROS - seconds).abs() < f64::EPSILON && count == found, "{bound}: {found:?}");
        }
        assert_eq!(found.last().unwrap().1, 1, "too long for every bound");
        assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), 1_200);
        assert!(buckets(&Times::default()).iter().all(|(_, count)| *count == 0));
    }
}
