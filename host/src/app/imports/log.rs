//! `hassock:host/log`

use crate::app::call::InstanceState;
use crate::module::bindings::hassock::host::log::{Host, Level};
use crate::text::log_line;

impl Host for InstanceState {
    fn write(&mut self, level: Level, message: String) {
        if !self.log.spend() {
            return;
        }
        let Some(call) = &self.call else { return };
        let (app, version) = (&*call.app.name, &*self.version.id);
        let connection = call.connection.as_ref().map(|connection| connection.id);
        let message = log_line(&message);
        // The level of an event is part of its static description, hence one each.
        match level {
            Level::Trace => tracing::trace!(app, version, connection, "{message}"),
            Level::Debug => tracing::debug!(app, version, connection, "{message}"),
            Level::Info => tracing::info!(app, version, connection, "{message}"),
            Level::Warn => tracing::warn!(app, version, connection, "{message}"),
            Level::Error => tracing::error!(app, version, connection, "{message}"),
        }
    }
}
