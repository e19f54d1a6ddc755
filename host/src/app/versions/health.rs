//! The health monitor of a new version: it detects when too many calls fail.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::RollbackConfig;

/// The number of steps in which the window moves.
const SLOTS: u32 = 10;

/// Where a call stands among those of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallOrder {
    /// It decides whether there is a connection.
    First,
    /// Any other call.
    Later,
}

/// Checks the calls of a version for as long as the version is new.
#[derive(Default)]
pub(crate) struct HealthMonitor {
    /// Read at each call. The lock is only taken while the version is new.
    is_on: AtomicBool,
    observation: Mutex<Option<Observation>>,
}

struct Observation {
    config: RollbackConfig,
    began: Instant,
    slots: [Slot; SLOTS as usize],
}

#[derive(Default, Clone, Copy)]
struct Slot {
    /// The step of time that the counts belong to. Counts of an older step are taken as zero.
    step: u64,
    all: Counts,
    /// Those of the first calls of connections: few of many calls, and nobody gets in if all of them fail.
    first: Counts,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    calls: u64,
    failures: u64,
}

impl HealthMonitor {
    /// The version is new from now on.
    pub(crate) fn start(&self, config: &RollbackConfig, now: Instant) {
        if config.watch_for.get().is_zero() {
            return self.stop();
        }
        *self.observation.lock() = Some(Observation { config: config.clone(), began: now, slots: Default::default() });
        self.is_on.store(true, Ordering::Release);
    }

    /// The version is not new any more.
    pub(crate) fn stop(&self) {
        self.is_on.store(false, Ordering::Release);
        *self.observation.lock() = None;
    }

    /// A call succeeded, perhaps the first one of a connection.
    pub(crate) fn call_succeeded(&self, order: CallOrder) {
        if self.is_on.load(Ordering::Relaxed) {
            self.count(Instant::now(), order, 0);
        }
    }

    /// A call failed. Returns the reason for a rollback if there should be one.
    pub(crate) fn call_failed(&self, order: CallOrder) -> Option<String> {
        if self.is_on.load(Ordering::Relaxed) { self.count(Instant::now(), order, 1) } else { None }
    }

    fn count(&self, now: Instant, order: CallOrder, failures: u64) -> Option<String> {
        let mut observation = self.observation.lock();
        let new =
            observation.as_mut().filter(|observation| now < observation.began + observation.config.watch_for.get());
        let verdict = new.map(|observation| observation.count(now, order, failures));
        if verdict.is_none() {
            *observation = None;
            self.is_on.store(false, Ordering::Release);
        }
        verdict.flatten().filter(|_| failures > 0)
    }
}

impl Observation {
    fn count(&mut self, now: Instant, order: CallOrder, failures: u64) -> Option<String> {
        let length = (self.config.window.get() / SLOTS).as_nanos().max(1);
        // A step is at least 10 ms, so the number fits for any uptime.
        let step = u64::try_from((now - self.began).as_nanos() / length).unwrap_or(u64::MAX);
        if let Some(slot) = self.slots.get_mut((step % u64::from(SLOTS)) as usize) {
            if slot.step != step {
                *slot = Slot { step, ..Slot::default() };
            }
            slot.all.add(1, failures);
            if order == CallOrder::First {
                slot.first.add(1, failures);
            }
        }
        let (mut all, mut first) = (Counts::default(), Counts::default());
        for slot in self.slots.iter().filter(|slot| slot.step + u64::from(SLOTS) > step) {
            all.add(slot.all.calls, slot.all.failures);
            first.add(slot.first.calls, slot.first.failures);
        }
        self.verdict(all, "calls").or_else(|| self.verdict(first, "calls of `open`"))
    }

    /// The reason for a rollback, if too many of the calls failed.
    fn verdict(&self, Counts { calls, failures }: Counts, what: &str) -> Option<String> {
        let is_sick = calls >= u64::from(self.config.min_calls) && self.config.failures.is_exceeded_by(failures, calls);
        is_sick.then(|| {
            format!(
                "{failures} of {calls} {what} within {} failed, more than `rollback.failures` = {}",
                self.config.window, self.config.failures
            )
        })
    }
}

impl Counts {
    fn add(&mut self, calls: u64, failures: u64) {
        self.calls += calls;
        self.failures += failures;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config;

    fn watch(now: Instant) -> HealthMonitor {
        let watch = HealthMonitor::default();
        let config = RollbackConfig {
            failures: config::Share::percent(25),
            window: config::Duration::from_secs(10),
            min_calls: 8,
            watch_for: config::Duration::from_secs(60),
        };
        watch.start(&config, now);
        watch
    }

    #[test]
    fn more_failures_than_the_share_are_too_many() {
        let now = Instant::now();
        let watch = watch(now);
        for _ in 0..6 {
            watch.count(now, CallOrder::Later, 0);
        }
        assert_eq!(watch.count(now, CallOrder::Later, 1), None, "one of seven, and seven are too few");
        assert_eq!(watch.count(now, CallOrder::Later, 1), None, "two of eight are a quarter, and not more");
        let reason = watch.count(now, CallOrder::Later, 1).unwrap();
        assert_eq!(reason, "3 of 9 calls within 10s failed, more than `rollback.failures` = 25%");
    }

    #[test]
    fn a_version_that_lets_nobody_in_is_sick_however_well_it_serves_the_others() {
        let now = Instant::now();
        let watch = watch(now);
        for _ in 0..7 {
            assert!((0..100).all(|_| watch.count(now, CallOrder::Later, 0).is_none()));
            assert_eq!(watch.count(now, CallOrder::First, 1), None, "so few say nothing");
        }
        let reason = watch.count(now, CallOrder::First, 1).unwrap();
        assert_eq!(reason, "8 of 8 calls of `open` within 10s failed, more than `rollback.failures` = 25%");
    }

    #[test]
    fn few_calls_say_nothing() {
        let now = Instant::now();
        let watch = watch(now);
        for _ in 0..7 {
            assert_eq!(watch.count(now, CallOrder::Later, 1), None);
        }
        assert!(watch.count(now, CallOrder::Later, 1).is_some());
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let start = Instant::now();
        let watch = watch(start);
        for _ in 0..7 {
            assert_eq!(watch.count(start, CallOrder::Later, 1), None);
        }
        let later = start + Duration::from_secs(10);
        assert_eq!(watch.count(later, CallOrder::Later, 1), None, "the first seven are forgotten");
        let within = start + Duration::from_secs(19);
        for _ in 0..20 {
            watch.count(within, CallOrder::Later, 0);
        }
        for _ in 0..5 {
            assert_eq!(watch.count(within, CallOrder::Later, 1), None);
        }
        // With the earlier failure, one more makes 7 of 27.
        assert!(watch.count(within, CallOrder::Later, 1).is_some());
    }

    #[test]
    fn a_version_is_new_only_for_a_while() {
        let start = Instant::now();
        let watch = watch(start);
        let later = start + Duration::from_secs(60);
        assert!((0..20).all(|_| watch.count(later, CallOrder::Later, 1).is_none()));
        assert!(!watch.is_on.load(Ordering::Relaxed));
        let off = RollbackConfig { watch_for: Duration::ZERO.into(), ..RollbackConfig::default() };
        watch.start(&off, start);
        assert!((0..200).all(|_| watch.count(start, CallOrder::Later, 1).is_none()));
    }
}
