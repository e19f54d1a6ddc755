//! The health monitor of a new version: it detects when too many calls fail.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::RollbackConfig;

/// The number of steps in which the window moves.
const SLOTS: u32 = 10;

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

    /// A call succeeded.
    pub(crate) fn call_succeeded(&self) {
        if self.is_on.load(Ordering::Relaxed) {
            self.count(Instant::now(), 0);
        }
    }

    /// A call failed. Returns the reason for a rollback if there should be one.
    pub(crate) fn call_failed(&self) -> Option<String> {
        if self.is_on.load(Ordering::Relaxed) { self.count(Instant::now(), 1) } else { None }
    }

    fn count(&self, now: Instant, failures: u64) -> Option<String> {
        let mut observation = self.observation.lock();
        let new =
            observation.as_mut().filter(|observation| now < observation.began + observation.config.watch_for.get());
        let verdict = new.map(|observation| observation.count(now, failures));
        if verdict.is_none() {
            *observation = None;
            self.is_on.store(false, Ordering::Release);
        }
        verdict.flatten().filter(|_| failures > 0)
    }
}

impl Observation {
    fn count(&mut self, now: Instant, failures: u64) -> Option<String> {
        let length = (self.config.window.get() / SLOTS).as_nanos().max(1);
        // A step is at least 10 ms, so the number fits for any uptime.
        let step = u64::try_from((now - self.began).as_nanos() / length).unwrap_or(u64::MAX);
        if let Some(slot) = self.slots.get_mut((step % u64::from(SLOTS)) as usize) {
            if slot.step != step {
                *slot = Slot { step, ..Slot::default() };
            }
            slot.calls += 1;
            slot.failures += failures;
        }
        let recent = self.slots.iter().filter(|slot| slot.step + u64::from(SLOTS) > step);
        let (calls, failed) = recent.fold((0, 0), |sum, slot| (sum.0 + slot.calls, sum.1 + slot.failures));
        let is_sick = calls >= u64::from(self.config.min_calls) && self.config.failures.is_exceeded_by(failed, calls);
        is_sick.then(|| {
            format!(
                "{failed} of {calls} calls within {} failed, more than `rollback.failures` = {}",
                self.config.window, self.config.failures
            )
        })
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
            watch.count(now, 0);
        }
        assert_eq!(watch.count(now, 1), None, "one of seven, and seven are too few");
        assert_eq!(watch.count(now, 1), None, "two of eight are a quarter, and not more");
        let reason = watch.count(now, 1).unwrap();
        assert_eq!(reason, "3 of 9 calls within 10s failed, more than `rollback.failures` = 25%");
    }

    #[test]
    fn few_calls_say_nothing() {
        let now = Instant::now();
        let watch = watch(now);
        for _ in 0..7 {
            assert_eq!(watch.count(now, 1), None);
        }
        assert!(watch.count(now, 1).is_some());
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let start = Instant::now();
        let watch = watch(start);
        for _ in 0..7 {
            assert_eq!(watch.count(start, 1), None);
        }
        let later = start + Duration::from_secs(10);
        assert_eq!(watch.count(later, 1), None, "the first seven are forgotten");
        let within = start + Duration::from_secs(19);
        for _ in 0..20 {
            watch.count(within, 0);
        }
        for _ in 0..5 {
            assert_eq!(watch.count(within, 1), None);
        }
        // With the earlier failure, one more makes 7 of 27.
        assert!(watch.count(within, 1).is_some());
    }

    #[test]
    fn a_version_is_new_only_for_a_while() {
        let start = Instant::now();
        let watch = watch(start);
        let later = start + Duration::from_secs(60);
        assert!((0..20).all(|_| watch.count(later, 1).is_none()));
        assert!(!watch.is_on.load(Ordering::Relaxed));
        let off = RollbackConfig { watch_for: Duration::ZERO.into(), ..RollbackConfig::default() };
        watch.start(&off, start);
        assert!((0..200).all(|_| watch.count(start, 1).is_none()));
    }
}
