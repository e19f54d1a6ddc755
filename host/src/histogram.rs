//! Counts of times, in buckets that are always the same. Counting takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The shortest time that is distinguished: 2^10 ns, about a microsecond.
const FIRST_BITS: u32 = 10;

/// The number of doublings from there: up to 2^36 ns, about 69 seconds, which is longer than any call may take.
const DOUBLINGS: usize = 26;

/// Each doubling is divided into this many parts, so that the error of a value is at most an eighth.
const PARTS: usize = 4;

const BUCKETS: usize = 1 + DOUBLINGS * PARTS;

/// How often something took how long.
#[derive(Debug)]
pub(crate) struct Histogram {
    nanos: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// What a histogram has counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    /// How often.
    pub count: u64,
    /// How long in all, in microseconds.
    pub sum_micros: f64,
    /// How often it took less than so many microseconds, cumulative. Empty if it never happened.
    pub below: Vec<(f64, u64)>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { nanos: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    /// Something took `time`.
    pub(crate) fn count(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub(crate) fn times(&self) -> Times {
        let mut count = 0;
        let bounds = (0..BUCKETS).map(|index| bound_of(index) as f64 / 1e3);
        let counts = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let below: Vec<_> = bounds.zip(counts).collect();
        match count {
            0 => Times::default(),
            _ => Times { count, sum_micros: self.nanos.load(Ordering::Relaxed) as f64 / 1e3, below },
        }
    }
}

impl Times {
    /// These and others of the same kind.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.count += others.count;
        self.sum_micros += others.sum_micros;
        if self.below.is_empty() {
            self.below.clone_from(&others.below);
        } else {
            self.below.iter_mut().zip(&others.below).for_each(|(one, other)| one.1 += other.1);
        }
        self
    }

    /// The mean, in microseconds. 0 if there are none.
    pub fn mean_micros(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_micros / self.count as f64 }
    }

    /// The time that this share of them did not exceed, in microseconds, with an error of at most an eighth. 0 if there
    /// are none.
    pub fn quantile_micros(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil() as u64;
        let index = self.below.iter().position(|(_, below)| *below >= rank && *below > 0);
        let Some(index) = index else { return 0.0 };
        let upper = self.below.get(index).map_or(0.0, |(bound, _)| *bound);
        let lower = index.checked_sub(1).and_then(|index| self.below.get(index)).map_or(0.0, |(bound, _)| *bound);
        f64::midpoint(lower, upper)
    }
}

fn bucket_of(nanos: u64) -> usize {
    let bits = nanos.checked_ilog2().unwrap_or(0);
    let Some(doubling) = bits.checked_sub(FIRST_BITS) else { return 0 };
    let part = (nanos >> (bits - PARTS.ilog2())) as usize % PARTS;
    (1 + doubling as usize * PARTS + part).min(BUCKETS - 1)
}

/// The exclusive upper bound of a bucket, in nanoseconds.
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
        let histogram = Histogram::default();
        assert_eq!(histogram.times(), Times::default());
        assert!(Times::default().quantile_micros(0.99).abs() < f64::EPSILON);
        for micros in 1..=1000 {
            histogram.count(Duration::from_micros(micros));
        }
        let times = histogram.times();
        for (share, exact) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = times.quantile_micros(share);
            assert!((found - exact).abs() <= exact / 8.0, "{share}: {found}");
        }
        assert!((times.mean_micros() - 500.5).abs() < 0.01);
        assert_eq!((times.count, times.below.last().unwrap().1), (1000, 1000));
    }

    #[test]
    fn several_add_up() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.count(Duration::from_micros(2));
        other.count(Duration::from_micros(2));
        other.count(Duration::from_secs(1));
        let both = one.times().and(&other.times());
        assert_eq!((both.count, both.below.last().unwrap().1), (3, 3));
        assert!((both.sum_micros - 1_000_004.0).abs() < 0.01);
        assert_eq!(Times::default().and(&both), both);
        assert_eq!(both.clone().and(&Times::default()), both);
    }
}
