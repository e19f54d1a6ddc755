//! `hassock:host/timers`

use std::time::Duration;

use crate::app::call::InstanceState;
use crate::app::{self, Existing, TimerError};
use crate::memory_budget::{OutOfMemory, Use};
use crate::module::bindings::hassock::host::timers::{Error, Host, Schedule};

impl Host for InstanceState {
    fn set(
        &mut self,
        connection: Option<u64>,
        name: String,
        schedule: Schedule,
        payload: Vec<u8>,
    ) -> Result<(), Error> {
        set_timer(self, connection, &name, schedule, payload, Existing::Replace).map(drop)
    }

    fn set_if_absent(
        &mut self,
        connection: Option<u64>,
        name: String,
        schedule: Schedule,
        payload: Vec<u8>,
    ) -> Result<bool, Error> {
        set_timer(self, connection, &name, schedule, payload, Existing::Keep)
    }

    fn cancel(&mut self, connection: Option<u64>, name: String) -> bool {
        self.call.as_ref().is_some_and(|call| call.app.timers.cancel(connection, &name))
    }
}

fn set_timer(
    state: &InstanceState,
    connection: Option<u64>,
    name: &str,
    schedule: Schedule,
    payload: Vec<u8>,
    existing: Existing,
) -> Result<bool, Error> {
    let owner = match connection {
        Some(id) => Some(state.connection(id).ok_or(Error::UnknownConnection)?),
        None => None,
    };
    let Some(call) = &state.call else { return Err(Error::UnknownConnection) };
    let limits = &call.setup.limits;
    if payload.len() > limits.attachment_bytes.bytes() {
        return Err(Error::Invalid(format!(
            "the payload is larger than `attachment_bytes` = {}",
            limits.attachment_bytes
        )));
    }
    let most = match connection {
        Some(_) => limits.timers_per_connection,
        None => limits.timers_per_app,
    };
    let schedule = app::Schedule {
        after: Duration::from_millis(schedule.after_ms),
        every: schedule.every_ms.map(Duration::from_millis),
    };
    let memory = &call.app.context.memory;
    if owner.is_none() && call.app.timers.bytes_of_app() + payload.len() > memory.for_timers_of_an_app() {
        return Err(Error::TooManyTimers);
    }
    let payload = memory.keep(Use::Timer, payload).map_err(|OutOfMemory| Error::TooManyTimers)?;
    call.app.timers.set(owner.as_deref(), name, schedule, payload, most, existing).map_err(|error| match error {
        TimerError::TooMany => Error::TooManyTimers,
        TimerError::Forgotten => Error::UnknownConnection,
        TimerError::Invalid(reason) => Error::Invalid(reason),
    })
}
