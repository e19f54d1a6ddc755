//! The current time. In a unit test, the test sets it, so code that uses this clock can be tested at any time of any
//! day.

use std::time::SystemTime;

/// The current time: the time of the host, or within a call of a `testing::MockHost` the time of that host. The latter
/// moves only when the test moves it, and by a microsecond from one reading to the next.
pub fn now() -> SystemTime {
    #[cfg(all(feature = "testing", not(target_family = "wasm")))]
    if let Some(now) = crate::testing::now() {
        return now;
    }
    SystemTime::now()
}
