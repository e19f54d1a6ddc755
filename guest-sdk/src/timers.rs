//! Timers of the app. Those of a connection are set with [`Connection::set_timer`].
//!
//! The host keeps timers: they survive the instance that set them and a swap of the module, but not the
//! host. An app's timers fire one after the other, beside the calls of connections.

use std::time::Duration;

use crate::host::timers;
use crate::{Connection, Result};

pub use crate::bindings::hassock::host::timers::Error;

/// Have [`Handler::timer`](crate::Handler::timer) called once for the app, `after` this long, with `name` and
/// `payload`. A timer of the app with the same name is replaced. `after` is rounded up to whole
/// milliseconds and is at most 30 days.
///
/// # Errors
/// [`Error::TooManyTimers`] above the app's `timers_per_app`; [`Error::Invalid`] for a longer time, a name
/// that has not 1 to 256 bytes, or a payload above `attachment_bytes`.
pub fn set(name: &str, after: Duration, payload: impl AsRef<[u8]>) -> Result<()> {
    set_for(None, name, after, payload.as_ref())
}

/// Forget a timer of the app. True if there was one; it will then not fire.
pub fn cancel(name: &str) -> bool {
    timers::cancel(None, name)
}

pub(crate) fn set_for(owner: Option<Connection>, name: &str, after: Duration, payload: &[u8]) -> Result<()> {
    Ok(timers::set(owner.map(Connection::id), name, milliseconds(after), payload)?)
}

/// Rounded up, so that no timer fires early. More than fits is for the host to refuse.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_milliseconds() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(2)), 2);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
