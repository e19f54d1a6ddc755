//! `hassock:host/timers`

use std::time::Duration;

use crate::TimerError;
use crate::testing::current::state;
use crate::testing::state::State;
use crate::testing::timers::Timer;
use crate::timers::Schedule;

pub(crate) fn set(owner: Option<u64>, name: &str, schedule: Schedule, payload: &[u8]) -> Result<(), TimerError> {
    state("timers::set", |state| replace(state, owner, name, schedule, payload))
}

pub(crate) fn set_if_absent(
    owner: Option<u64>,
    name: &str,
    schedule: Schedule,
    payload: &[u8],
) -> Result<bool, TimerError> {
    state("timers::set_if_absent", |state| match state.timers.has(owner, name) {
        true => Ok(false),
        false => replace(state, owner, name, schedule, payload).map(|()| true),
    })
}

pub(crate) fn cancel(owner: Option<u64>, name: &str) -> bool {
    state("timers::cancel", |state| state.timers.cancel(owner, name))
}

fn replace(
    state: &mut State,
    owner: Option<u64>,
    name: &str,
    schedule: Schedule,
    payload: &[u8],
) -> Result<(), TimerError> {
    if owner.is_some_and(|id| state.known(id).is_none()) {
        return Err(TimerError::UnknownConnection);
    }
    let limits = &state.limits;
    if payload.len() > limits.attachment_bytes {
        let most = limits.attachment_bytes;
        return Err(TimerError::Invalid(format!("the payload is larger than `attachment_bytes` = {most}")));
    }
    let most = if owner.is_some() { limits.timers_per_connection } else { limits.timers_per_app };
    // As in the host: time would never pass if a timer fired again and again without a delay.
    let time = |milliseconds: u64| Duration::from_millis(milliseconds.max(1));
    let timer = Timer {
        owner,
        name: name.to_owned(),
        payload: payload.to_vec(),
        every: schedule.every_ms().map(time),
        due: state.now,
    };
    state.timers.set(timer, time(schedule.after_ms()), most)
}
