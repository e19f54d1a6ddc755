//! Timers of the app, and the types that all timers use. Timers of a connection are set with
//! [`Connection::set_timer`](crate::Connection::set_timer).
//!
//! The host keeps timers: they survive the instance that set them and a swap of the module, but not a restart of the
//! host. An app's timers fire one after the other, in parallel with the calls of connections.
//!
//! [`Start::start`](crate::Start::start) runs in each of an app's instances, so set a timer for the whole app there
//! with [`set_if_absent`]; [`set`] would delay it each time:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use hassock_sdk::prelude::*;
//!
//! struct News;
//!
//! impl Start for News {
//!     fn start() -> Result<Self> {
//!         timers::set_if_absent("tick", Schedule::every(Duration::from_secs(60)), &())?;
//!         Ok(Self)
//!     }
//! }
//!
//! impl Handler for News {
//!     type Message<'a> = MessageRef<'a>;
//!
//!     fn on_message(&self, connection: Connection, _: MessageRef<'_>) -> Result<()> {
//!         connection.set_timer("reminder", Duration::from_secs(5), &"you said something")
//!     }
//!
//!     fn on_connection_timer(&self, connection: Connection, timer: &Timer) -> Result<()> {
//!         connection.send(timer.payload::<String>()?)
//!     }
//!
//!     fn on_app_timer(&self, timer: &Timer) -> Result<()> {
//!         topics::publish("news", format!("the timer `{}` fires", timer.name())).map(drop)
//!     }
//! }
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::host::timers;

/// When a timer fires. A [`Duration`] converts into a schedule that fires once. Times are rounded up to whole
/// milliseconds, at least one millisecond, and are at most 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Schedule {
    after: Duration,
    every: Option<Duration>,
}

impl Schedule {
    /// Fire once, after this time.
    pub const fn after(time: Duration) -> Self {
        Self { after: time, every: None }
    }

    /// Fire after this time, and again this long after each firing, until the timer is cancelled or replaced.
    pub const fn every(time: Duration) -> Self {
        Self { after: time, every: Some(time) }
    }

    /// Then fire again, this long after each firing: `Schedule::after(first).then_every(interval)`.
    pub const fn then_every(self, time: Duration) -> Self {
        Self { every: Some(time), ..self }
    }

    pub(crate) fn after_ms(self) -> u64 {
        milliseconds(self.after)
    }

    pub(crate) fn every_ms(self) -> Option<u64> {
        self.every.map(milliseconds)
    }
}

impl From<Duration> for Schedule {
    fn from(time: Duration) -> Self {
        Self::after(time)
    }
}

/// A timer that fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    name: String,
    payload: Vec<u8>,
}

impl Timer {
    pub(crate) fn new(name: String, payload: Vec<u8>) -> Self {
        Self { name, payload }
    }

    /// The name that it was set with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The payload that it was set with, read as JSON.
    ///
    /// # Errors
    /// A [`serde_json::Error`] if it is not the JSON of a `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        let json = if self.payload.is_empty() { b"null" } else { self.payload.as_slice() };
        Ok(serde_json::from_slice(json)?)
    }

    /// The payload as bytes: a version in another language may have set the timer with any bytes.
    pub fn payload_bytes(&self) -> &[u8] {
        &self.payload
    }
}

/// Set a timer that calls [`Handler::on_app_timer`](crate::Handler::on_app_timer): once after a [`Duration`], or as a
/// [`Schedule`] says. The call gets `name` and `payload`, which is kept as JSON; `&()` means no payload. A timer of the
/// app with the same name is replaced.
///
/// # Errors
/// A [`TimerError`](crate::TimerError): `TooManyTimers` above the app's `timers_per_app`; `Invalid` for a time above 30
/// days, a name that does not have 1 to 256 bytes, or a payload above `attachment_bytes`. A [`serde_json::Error`] if
/// the payload cannot be written as JSON.
pub fn set(name: &str, schedule: impl Into<Schedule>, payload: &impl Serialize) -> Result<()> {
    Ok(timers::set(None, name, schedule.into(), &serde_json::to_vec(payload)?)?)
}

/// As [`set`], unless the app has a timer of that name, which then stays as it is. Returns whether the timer was set.
///
/// # Errors
/// As [`set`].
pub fn set_if_absent(name: &str, schedule: impl Into<Schedule>, payload: &impl Serialize) -> Result<bool> {
    Ok(timers::set_if_absent(None, name, schedule.into(), &serde_json::to_vec(payload)?)?)
}

/// Cancel a timer of the app. Returns whether there was one; it does not fire any more.
pub fn cancel(name: &str) -> bool {
    timers::cancel(None, name)
}

/// Round up, so that no timer fires early. The host refuses a time that is too long to fit.
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

    #[test]
    fn a_schedule_fires_once_or_again() {
        let (first, again) = (Duration::from_millis(2), Duration::from_millis(5));
        let times = |schedule: Schedule| (schedule.after_ms(), schedule.every_ms());
        assert_eq!(times(first.into()), (2, None));
        assert_eq!(times(Schedule::every(again)), (5, Some(5)));
        assert_eq!(times(Schedule::after(first).then_every(again)), (2, Some(5)));
    }

    #[test]
    fn a_payload_is_json() {
        let payload = |bytes: &[u8]| Timer::new("t".into(), bytes.to_vec()).payload::<Option<Vec<u8>>>().ok();
        assert_eq!(payload(b"[1,2]"), Some(Some(vec![1, 2])));
        assert_eq!(payload(b""), Some(None));
        assert_eq!(payload(b"[1"), None);
    }
}
