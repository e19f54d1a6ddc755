//! What modules import: one file for each interface of `wit/`, implemented on the [`State`] of an instance.

mod connections;
pub mod log;
mod settings;
pub mod sql;
mod timers;
mod topics;

use std::sync::Arc;

use tokio_tungstenite::tungstenite::Message as Frame;

use crate::module::State;
use crate::module::bindings::hassock::host::{about, types};
use crate::session::Connection;

impl types::Host for State {}

impl about::Host for State {
    fn host(&mut self) -> String {
        crate::VERSION.to_owned()
    }
}

/// A module's message as it goes to the socket. The bytes are moved, not copied.
fn frame(message: types::Message) -> Frame {
    match message {
        types::Message::Text(text) => Frame::text(text),
        types::Message::Binary(data) => Frame::binary(data),
    }
}

impl State {
    /// The connection with that id, if this app has it. Most calls are about the connection of the call.
    fn connection(&self, id: u64) -> Option<Arc<Connection>> {
        let call = self.call.as_ref()?;
        match &call.connection {
            Some(own) if own.id == id => Some(Arc::clone(own)),
            _ => call.app.connections.get(id),
        }
    }

    /// Have the connection's session look at its outbox when this call ends or waits. The connection that
    /// the call is about needs no waking: its session runs the call, and looks when it ends or waits.
    fn touch(&mut self, connection: Arc<Connection>) {
        let Some(call) = &mut self.call else { return };
        let is_known = |known: Option<&Arc<Connection>>| known.is_some_and(|known| known.id == connection.id);
        if !is_known(call.connection.as_ref()) && !is_known(call.touched.last()) {
            call.touched.push(connection);
        }
    }
}
