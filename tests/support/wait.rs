//! Waiting for conditions, never for times.

use std::future::Future;
use std::time::Duration;

use tokio::time::{interval, timeout};

/// Longer than anything takes on a busy machine; a test that gets here has failed.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The result of a future that has to come within [`DEADLINE`].
///
/// # Panics
/// If it does not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(result) => result,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}

/// Check a condition again and again until it holds.
///
/// # Panics
/// If it does not hold within [`DEADLINE`].
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    within(what, async {
        let mut look = interval(Duration::from_millis(10));
        loop {
            look.tick().await;
            if condition().await {
                return;
            }
        }
    })
    .await;
}
