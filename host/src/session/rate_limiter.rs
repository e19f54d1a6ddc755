//! How fast a client is read: `messages_per_second`, with a burst of one second's worth.

use std::time::Duration;

use tokio::time::Instant;

/// Messages may come in bursts as long as they keep the rate over a second.
const BURST: Duration = Duration::from_secs(1);

/// The generic cell rate algorithm: one instant is all the state it needs.
pub(super) struct RateLimiter {
    interval: Duration,
    /// When the messages so far would have come, had they kept the rate exactly.
    expected: Instant,
}

impl RateLimiter {
    pub(super) fn new(messages_per_second: u32, now: Instant) -> Self {
        Self { interval: BURST / messages_per_second.max(1), expected: now }
    }

    /// So many messages came. Returns until when to read no more, if they came too fast.
    pub(super) fn count(&mut self, messages: usize, now: Instant) -> Option<Instant> {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.expected = self.expected.max(now) + self.interval * messages;
        let resume = self.expected - BURST;
        (resume > now).then_some(resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_fine_and_the_rate_holds_after_it() {
        let now = Instant::now();
        let mut rate = RateLimiter::new(100, now);
        assert_eq!(rate.count(100, now), None);
        assert_eq!(rate.count(50, now), Some(now + Duration::from_millis(500)));
        let later = now + Duration::from_secs(2);
        assert_eq!(rate.count(50, later), None);
    }
}
