//! Whether the calls of a version take long.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many calls after a long one are taken to be long, too.
const CALLS: u32 = 64;

/// The pace of a version. The messages of a long call should leave while it runs, and it should let others run; a short
/// call is cheaper without both.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Calls that are still taken to be long.
    long: AtomicU32,
}

impl Pace {
    /// Whether a call will probably be short.
    pub(crate) fn is_quick(&self) -> bool {
        self.long.load(Ordering::Relaxed) == 0
    }

    /// A call begins on a stack of its own.
    pub(crate) fn begin_call(&self) {
        let long = self.long.load(Ordering::Relaxed);
        if long > 0 {
            // Two threads may both count one call, which does not matter.
            self.long.store(long - 1, Ordering::Relaxed);
        }
    }

    /// A call computes for longer than a tick, or has waited for longer than that.
    pub(crate) fn call_is_long(&self) {
        self.long.store(CALLS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_makes_the_next_ones_careful() {
        let pace = Pace::default();
        assert!(pace.is_quick());
        pace.call_is_long();
        for _ in 0..CALLS {
            assert!(!pace.is_quick());
            pace.begin_call();
        }
        assert!(pace.is_quick());
    }
}
