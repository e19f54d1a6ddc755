//! Bounded waiting that is free when there is nothing to wait for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// As [`timeout`], but without a timer for a future that is ready at once. Most calls of modules and most
/// writes are, and a timer that is never waited for costs more than a tenth of a message.
///
/// # Errors
/// If the future is not ready within `limit`.
pub(crate) async fn lazy_timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => timeout(limit, future).await,
    }
}
