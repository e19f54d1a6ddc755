//! When a call that waits for as long as it takes is tried again.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::module::CallError;

/// The pauses before a call is tried again when no instance could be made for it. Together they are longer than a peak of
/// memory lasts; a module that can never be instantiated again must not keep its connections for ever.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    BUSY,
];

/// The pause when the host stops.
const SHORTEST: Duration = Duration::from_millis(100);

/// The pause while the instances of other apps are busy, which lasts as long as it takes.
const BUSY: Duration = Duration::from_secs(8);

/// The patience of one call.
#[derive(Default)]
pub(super) struct Patience {
    attempts: usize,
}

impl Patience {
    /// Wait before the next attempt. False if there is none, because the error is not one that passes.
    pub(super) async fn outlasts(&mut self, error: &CallError, out_of_time: &CancellationToken) -> bool {
        let Some(pause) = self.pause(error) else { return false };
        self.attempts += 1;
        wait(pause, out_of_time).await;
        true
    }

    fn pause(&self, error: &CallError) -> Option<Duration> {
        let pause = PAUSES.get(self.attempts).copied();
        match error {
            CallError::Instantiate(_) => pause,
            CallError::HostBusy(_) => pause.or(Some(BUSY)),
            _ => None,
        }
    }
}

/// Wait before another attempt. When the host stops, less time is left than the longest pause takes.
async fn wait(pause: Duration, out_of_time: &CancellationToken) {
    if out_of_time.is_cancelled() {
        return sleep(pause.min(SHORTEST)).await;
    }
    tokio::select! {
        () = sleep(pause) => {}
        () = out_of_time.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn attempts(error: CallError, most: usize) -> usize {
        let (mut patience, out_of_time) = (Patience::default(), CancellationToken::new());
        let mut attempts = 1;
        while attempts < most && patience.outlasts(&error, &out_of_time).await {
            attempts += 1;
        }
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_error_that_passes_is_waited_for() {
        assert_eq!(attempts(CallError::Stopping, 100).await, 1);
        assert_eq!(attempts(CallError::Returned("no".to_owned()), 100).await, 1);
        assert_eq!(attempts(CallError::Instantiate("no memory".to_owned()), 100).await, 1 + PAUSES.len());
        assert_eq!(attempts(CallError::HostBusy("others".to_owned()), 100).await, 100, "for as long as it takes");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_attempts_of_a_host_that_stops_are_quick() {
        let (mut patience, out_of_time) = (Patience::default(), CancellationToken::new());
        out_of_time.cancel();
        let began = tokio::time::Instant::now();
        for _ in 0..10 {
            assert!(patience.outlasts(&CallError::HostBusy("others".to_owned()), &out_of_time).await);
        }
        assert!(began.elapsed() <= 10 * SHORTEST + Duration::from_millis(10), "{:?}", began.elapsed());
    }
}
