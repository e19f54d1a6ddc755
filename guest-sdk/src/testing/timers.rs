//! The timers of the app and of its connections.

use std::time::{Duration, SystemTime};

use crate::TimerError;

/// Bytes of a timer's name.
const MAX_NAME: usize = 256;

/// The longest time of a timer.
const MAX_TIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// A connection, or the app.
pub(super) type Owner = Option<u64>;

#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) payload: Vec<u8>,
    pub(super) every: Option<Duration>,
    pub(super) due: SystemTime,
}

/// Timers in the order in which they were set, so that of two that are due at the same time the older one fires first.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<Timer>);

impl Timers {
    /// Set a timer that is due after this time, in place of one with the same owner and name.
    pub(super) fn set(&mut self, mut timer: Timer, after: Duration, most: usize) -> Result<(), TimerError> {
        if timer.name.is_empty() || timer.name.len() > MAX_NAME {
            return Err(TimerError::Invalid(format!("a name has 1 to {MAX_NAME} bytes")));
        }
        if timer.every.is_some_and(|every| every > MAX_TIME) || after > MAX_TIME {
            return Err(TimerError::Invalid("a time is more than 30 days".to_owned()));
        }
        let own = self.0.iter().filter(|other| other.owner == timer.owner);
        if own.filter(|other| other.name != timer.name).count() >= most {
            return Err(TimerError::TooManyTimers);
        }
        self.cancel(timer.owner, &timer.name);
        timer.due += after;
        self.0.push(timer);
        Ok(())
    }

    pub(super) fn has(&self, owner: Owner, name: &str) -> bool {
        self.0.iter().any(|timer| timer.owner == owner && timer.name == name)
    }

    /// Cancel a timer. Returns whether there was one.
    pub(super) fn cancel(&mut self, owner: Owner, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|timer| timer.owner != owner || timer.name != name);
        self.0.len() < before
    }

    /// Cancel all timers of a connection.
    pub(super) fn cancel_all(&mut self, connection: u64) {
        self.0.retain(|timer| timer.owner != Some(connection));
    }

    /// Take the next timer that is due by this time. A timer that repeats is set again.
    pub(super) fn take_due(&mut self, by: SystemTime) -> Option<Timer> {
        let due = self.0.iter().enumerate().filter(|(_, timer)| timer.due <= by);
        let (index, _) = due.min_by_key(|(_, timer)| timer.due)?;
        let timer = self.0.remove(index);
        if let Some(every) = timer.every {
            self.0.push(Timer { due: timer.due + every, ..timer.clone() });
        }
        Some(timer)
    }
}
