//! `hassock:host/timers`

use std::time::Duration;

use crate::app::TimerError;
use crate::app::call::InstanceState;
use crate::module::bindings::hassock::host::timers::{Error, Host};

impl Host for InstanceState {
    fn set(&mut self, connection: Option<u64>, name: String, after_ms: u64, payload: Vec<u8>) -> Result<(), Error> {
        if let Some(id) = connection {
            self.connection(id).ok_or(Error::UnknownConnection)?;
        }
        let Some(call) = &self.call else { return Err(Error::UnknownConnection) };
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
        let after = Duration::from_millis(after_ms);
        call.app.timers.set(connection, &name, after, payload.into(), most).map_err(|error| match error {
            TimerError::TooMany => Error::TooManyTimers,
            TimerError::Invalid(reason) => Error::Invalid(reason),
        })
    }

    fn cancel(&mut self, connection: Option<u64>, name: String) -> bool {
        self.call.as_ref().is_some_and(|call| call.app.timers.cancel(connection, &name))
    }
}
