//! A timeout that costs nothing when the future is ready at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// The same as [`timeout`], but without a timer for a future that is ready at once. Most calls of modules and most
/// writes are ready at once, and an unused timer costs more than a tenth of a message.
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
