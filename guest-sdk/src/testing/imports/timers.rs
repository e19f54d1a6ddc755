//! `hassock:host/timers`

use std::time::Duration;

use crate::testing::current::state;
use crate::testing::timers::Timer;
use crate::timers::Error;

pub(crate) fn set(connection: Option<u64>, name: &str, after_ms: u64, payload: &[u8]) -> Result<(), Error> {
    state("timers::set", |state| {
        if connection.is_some_and(|id| state.known(id).is_none()) {
            return Err(Error::UnknownConnection);
        }
        let limits = &state.limits;
        if payload.len() > limits.attachment_bytes {
            let most = limits.attachment_bytes;
            return Err(Error::Invalid(format!("the payload is larger than `attachment_bytes` = {most}")));
        }
        let most = if connection.is_some() { limits.timers_per_connection } else { limits.timers_per_app };
        // As in the host: one that always sets itself again would never let time pass.
        let after = Duration::from_millis(after_ms.max(1));
        let due = state.now.checked_add(after);
        let due = due.ok_or_else(|| Error::Invalid("the delay is more than 30 days".to_owned()))?;
        let timer = Timer { owner: connection, name: name.to_owned(), payload: payload.to_vec(), due };
        state.timers.set(timer, state.now, most)
    })
}

pub(crate) fn cancel(connection: Option<u64>, name: &str) -> bool {
    state("timers::cancel", |state| state.timers.cancel(connection, name))
}
