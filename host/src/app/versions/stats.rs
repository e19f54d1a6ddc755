//! What a version has done: counted for the list of versions and for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The finest that is told apart: 2^10 ns, about a microsecond.
const FIRST_BITS: u32 = 10;

/// Doublings from there: up to 2^36 ns, about 69 seconds, which is longer than any call may take.
const DOUBLINGS: usize = 26;

/// Each doubling is cut into so many, so that a value is known to within an eighth.
const PARTS: usize = 4;

const BUCKETS: usize = 1 + DOUBLINGS * PARTS;

/// The calls of a version. Counting takes no lock.
pub struct Stats {
    calls: AtomicU64,
    failures: AtomicU64,
    nanos: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    /// Connections that the version serves.
    pub(crate) connections: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            connections: AtomicU64::new(0),
        }
    }
}

impl Stats {
    /// A call has ended after `time`.
    pub(crate) fn count(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call has failed.
    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls that have ended.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Of these, what failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Connections that the version serves.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Mean time of a call, in microseconds; 0 if there was none.
    pub fn mean_micros(&self) -> f64 {
        match self.calls() {
            0 => 0.0,
            calls => self.nanos.load(Ordering::Relaxed) as f64 / calls as f64 / 1e3,
        }
    }

    /// The time that a share of the calls did not exceed, in microseconds, to within an eighth; 0 if there
    /// was none.
    pub fn quantile_micros(&self, share: f64) -> f64 {
        let histogram = self.histogram();
        let calls = histogram.last().map_or(0, |(_, calls)| *calls);
        let rank = (calls as f64 * share).ceil() as u64;
        let index = histogram.iter().position(|(_, below)| *below >= rank && *below > 0);
        let Some(index) = index else { return 0.0 };
        let upper = histogram.get(index).map_or(0.0, |(bound, _)| *bound);
        let lower = index.checked_sub(1).and_then(|index| histogram.get(index)).map_or(0.0, |(bound, _)| *bound);
        f64::midpoint(lower, upper)
    }

    /// How many calls took at most so many microseconds, cumulative.
    pub fn histogram(&self) -> Vec<(f64, u64)> {
        let mut sum = 0;
        let bounds = (0..BUCKETS).map(|index| bound_of(index) as f64 / 1e3);
        let counts = self.buckets.iter().map(|bucket| {
            sum += bucket.load(Ordering::Relaxed);
            sum
        });
        bounds.zip(counts).collect()
    }
}

fn bucket_of(nanos: u64) -> usize {
    let bits = nanos.checked_ilog2().unwrap_or(0);
    let Some(doubling) = bits.checked_sub(FIRST_BITS) else { return 0 };
    let part = (nanos >> (bits - PARTS.ilog2())) as usize % PARTS;
    (1 + doubling as usize * PARTS + part).min(BUCKETS - 1)
}

/// What a bucket's times are below, in nanoseconds.
fn bound_of(bucket: usize) -> u64 {
    let Some(index) = bucket.checked_sub(1) else { return 1 << FIRST_BITS };
    let first = 1_u64 << (FIRST_BITS as usize + index / PARTS);
    first + first / PARTS as u64 * (index % PARTS + 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_bucket_whose_bounds_hold_it() {
        for nanos in (0..36).flat_map(|bits| [1_u64 << bits, (1 << bits) + 1, (3 << bits) / 2, (1 << bits) - 1]) {
            let bucket = bucket_of(nanos);
            assert!(nanos < bound_of(bucket), "{nanos}");
            assert!(bucket == 0 || nanos >= bound_of(bucket - 1), "{nanos}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_within_an_eighth() {
        let stats = Stats::default();
        assert!((stats.quantile_micros(0.99) - 0.0).abs() < f64::EPSILON);
        for micros in 1..=1000 {
            stats.count(Duration::from_micros(micros));
        }
        for (share, exact) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = stats.quantile_micros(share);
            assert!((found - exact).abs() <= exact / 8.0, "{share}: {found}");
        }
        assert!((stats.mean_micros() - 500.5).abs() < 0.01);
        assert_eq!(stats.histogram().last().unwrap().1, 1000);
    }
}
