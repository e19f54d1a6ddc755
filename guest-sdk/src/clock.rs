//! What time it is. In a unit test it is what the test says, so code that asks here can be tested at any
//! time of any day.

use std::time::SystemTime;

/// The time now: the host's, or within a call of a `testing::MockHost` that host's, which moves only when the
/// test moves it, and by a microsecond from one reading to the next.
pub fn now() -> SystemTime {
    #[cfg(all(feature = "testing", not(target_family = "wasm")))]
    if let Some(now) = crate::testing::now() {
        return now;
    }
    SystemTime::now()
}
