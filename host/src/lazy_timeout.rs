//! A timeout that costs nothing when the future is ready at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// The same as [`timeout`], but without a timer for a future that is ready at once. Most calls of modules and most
/// writes are ready at once, and an unused timer costs more than a tenth of a message.
///
/// The future is pinned by the caller: an `async` function keeps room both for an argument and for what it makes of it.
///
/// # Errors
/// If the future is not ready within `limit`.
pub(crate) async fn lazy_timeout<T>(
    limit: Duration,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(result) => Ok(result),
        // Boxed, because each connection would keep room for the timer.
        Poll::Pending => Box::pin(timeout(limit, future)).await,
    }
}
