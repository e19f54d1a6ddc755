//! Write a module for the WebSocket host Hassock: the host has the sockets, the module has the logic.
//!
//! A module is a type that implements [`Handler`], and one line that exports it:
//!
//! ```no_run
//! use hassock_guest::prelude::*;
//!
//! /// Everybody in a room hears what one of them says.
//! struct Room {
//!     greeting: String,
//! }
//!
//! impl Handler for Room {
//!     fn start() -> Result<Self> {
//!         Ok(Self { greeting: settings::get_or("greeting", "hello") })
//!     }
//!
//!     fn open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
//!         let Some(name) = request.query_value("name") else {
//!             return Err(Refusal::new(403, "a name is needed: ?name=…"));
//!         };
//!         connection.send(format!("{} {name}", self.greeting))?;
//!         Ok(Acceptance::new().topic("room").attachment(&name)?)
//!     }
//!
//!     fn message(&self, connection: Connection, message: Message) -> Result<()> {
//!         let name: String = connection.attachment()?;
//!         let text = message.as_text().ok_or("only text is spoken here")?;
//!         let listeners = topics::publish("room", format!("{name}: {text}"))?;
//!         debug!("{listeners} heard {name}");
//!         Ok(())
//!     }
//! }
//!
//! hassock_guest::export!(Room);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib`, and `cargo build --release --target wasm32-wasip2` makes the component. It
//! imports only what it uses, so a module that runs no SQL needs no grant for a database.
//!
//! * [`Connection`]: send, close, attach, subscribe, set timers
//! * [`topics`]: publish to many connections
//! * [`sql`]: the databases that the app's config grants
//! * [`settings`], [`timers`], [`log`], [`host_version`]
//!
//! What fails, fails with an [`Error`]; one that leaves the handler goes into the host's log. A panic ends
//! the call, and the host replaces the instance; other connections do not notice.
//!
//! On other targets than WebAssembly this crate compiles, so that a module's own logic can have unit
//! tests, but there is no host: a call that needs it panics.

mod answer;
#[doc(hidden)]
pub mod bindings;
mod connection;
mod error;
#[doc(hidden)]
pub mod handler;
pub mod log;
mod message;
mod request;
pub mod settings;
pub mod sql;
pub mod timers;
pub mod topics;

pub use answer::{Acceptance, Refusal};
pub use bindings::hassock::host::types::{ClosedBy, Closing, Message};
pub use connection::{Connection, ConnectionError, Fullness};
pub use error::{Error, Result};
pub use handler::Handler;
pub use request::Request;

/// Name and version of the host that runs this module: `Hassock 0.1.0`.
pub fn host_version() -> String {
    bindings::hassock::host::about::host()
}

/// All that a module usually needs: `use hassock_guest::prelude::*;`.
pub mod prelude {
    pub use crate::sql::{Database, Row, Rows, Transaction, Value};
    pub use crate::{Acceptance, ClosedBy, Closing, Connection, Error, Handler, Message, Refusal, Request, Result};
    pub use crate::{debug, error, info, params, trace, warn};
    pub use crate::{log, settings, sql, timers, topics};
}

/// For the macros of this crate. Anything in here may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::handler;
}
