//! The timers of the app and of its connections.

use std::time::{Duration, SystemTime};

use crate::bindings::hassock::host::timers::Error;

/// Bytes of a timer's name.
const MAX_NAME: usize = 256;

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who set a timer: a connection, or the app.
pub(super) type Owner = Option<u64>;

#[derive(Debug)]
pub(super) struct Timer {
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) payload: Vec<u8>,
    pub(super) due: SystemTime,
}

/// In the order in which they were set, so that of two that are due at once the older one fires first.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<Timer>);

impl Timers {
    /// Set a timer in place of one of the same owner and name.
    pub(super) fn set(&mut self, timer: Timer, now: SystemTime, most: usize) -> Result<(), Error> {
        if timer.name.is_empty() || timer.name.len() > MAX_NAME {
            return Err(Error::Invalid(format!("a name has 1 to {MAX_NAME} bytes")));
        }
        if timer.due.duration_since(now).is_ok_and(|delay| delay > MAX_DELAY) {
            return Err(Error::Invalid("the delay is more than 30 days".to_owned()));
        }
        let own = self.0.iter().filter(|other| other.owner == timer.owner);
        if own.filter(|other| other.name != timer.name).count() >= most {
            return Err(Error::TooManyTimers);
        }
        self.cancel(timer.owner, &timer.name);
        self.0.push(timer);
        Ok(())
    }

    /// Forget a timer. True if there was one.
    pub(super) fn cancel(&mut self, owner: Owner, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|timer| timer.owner != owner || timer.name != name);
        self.0.len() < before
    }

    /// Forget all timers of a connection.
    pub(super) fn cancel_all(&mut self, connection: u64) {
        self.0.retain(|timer| timer.owner != Some(connection));
    }

    /// Take the next timer that is due by then.
    pub(super) fn take_due(&mut self, by: SystemTime) -> Option<Timer> {
        let due = self.0.iter().enumerate().filter(|(_, timer)| timer.due <= by);
        let (index, _) = due.min_by_key(|(_, timer)| timer.due)?;
        Some(self.0.remove(index))
    }
}
