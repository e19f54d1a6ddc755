//! Write a module for the WebSocket host Hassock: the host has the sockets, the module has the logic.
//!
//! A module is a type that implements [`Handler`], and one line that exports it:
//!
//! ```no_run
//! use hassock_sdk::prelude::*;
//!
//! /// Everybody in a room hears what one of them says.
//! #[derive(Default)]
//! struct Room;
//!
//! impl Handler for Room {
//!     type Message<'a> = &'a str;
//!
//!     fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
//!         let Some(name) = request.query_value("name") else {
//!             return Err(Refusal::new(403, "a name is needed: ?name=…"));
//!         };
//!         connection.send(format!("hello {name}"))?;
//!         Ok(Acceptance::new().topic("room").attachment(&name)?)
//!     }
//!
//!     fn on_message(&self, connection: Connection, text: &str) -> Result<()> {
//!         let name: String = connection.attachment()?;
//!         let listeners = topics::publish("room", format!("{name}: {text}"))?;
//!         debug!("{listeners} heard {name}");
//!         Ok(())
//!     }
//! }
//!
//! hassock_sdk::export!(Room);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib`, and `cargo build --release --target wasm32-wasip2` builds the component. The component
//! imports only what it uses, so a module that runs no SQL needs no grant for a database.
//!
//! * [`Handler`]: what the host calls; [`FromMessage`]: types that messages are read as; [`Start`]: settings and tables
//!   first
//! * [`Connection`]: send, close, attach, subscribe, set timers
//! * [`topics`]: publish to many connections; [`mod@history`]: what topics keep
//! * [`sql`]: the databases that the app's config grants
//! * [`settings`], [`timers`], [`clock`], [`log`], [`host_version`]
//!
//! Every function that can fail returns [`Result`], and every error can be returned with `?`. An error that the handler
//! returns goes into the host's log, except for a [`ClientError`], which the client reads. A panic ends the call, and
//! the host replaces the instance; other connections are not affected.
//!
//! # Unit tests
//!
//! With the feature `testing` a handler runs under plain `cargo test`, on the developer's own machine and
//! without a host: against the connections, topics, timers, settings, clock and databases (SQLite in memory,
//! or answers that the test scripts) of a `testing::MockHost`.
//!
//! ```toml
//! [dev-dependencies]
//! hassock-sdk = { version = "0.1", features = ["testing"] }
//! ```
//!
//! ```
//! # use hassock_sdk::prelude::*;
//! # #[derive(Default)]
//! # struct Echo;
//! # impl Handler for Echo {
//! #     type Message<'a> = MessageRef<'a>;
//! #     fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
//! #         connection.send(message)
//! #     }
//! # }
//! # #[cfg(feature = "testing")]
//! # fn main() {
//! use hassock_sdk::testing::MockHost;
//!
//! let host = MockHost::<Echo>::new();
//! let client = host.connect("/echo");
//! client.send_text("hello");
//! client.expect_text("hello");
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```
//!
//! Without that feature this crate compiles for other targets than WebAssembly, but a call that needs a host panics.
//! The feature does not change a module that is built for WebAssembly.

mod answer;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod closing;
mod connection;
mod convert;
mod error;
mod export;
mod handler;
pub mod history;
mod host;
mod json;
pub mod log;
mod message;
mod request;
pub mod settings;
pub mod sql;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
pub mod timers;
pub mod topics;

pub use anyhow::{Context, bail, ensure};

pub use ::log::{debug, error, info, trace, warn};
pub use answer::{Acceptance, Refusal};
pub use closing::{ClosedBy, Closing};
pub use connection::Connection;
pub use error::{ClientError, ConnectionError, Error, Result, TimerError, TopicError};
pub use handler::{Handler, Start};
pub use json::Json;
pub use message::{AsMessage, FromMessage, Message, MessageRef};
pub use request::Request;
pub use settings::SettingError;
pub use sql::{SqlError, ValueError};
pub use timers::Timer;

/// The name and version of the host that runs this module: `Hassock 0.1.0`.
pub fn host_version() -> String {
    host::about::host()
}

/// All that a module usually needs: `use hassock_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::history::{Position, Publish, StartAt};
    pub use crate::sql::{Database, Row, Rows, SqlError, Transaction, Value};
    pub use crate::timers::{Schedule, Timer};
    pub use crate::{
        Acceptance, AsMessage, ClientError, ClosedBy, Closing, Connection, Context, Error, FromMessage, Handler, Json,
    };
    pub use crate::{Message, MessageRef, Refusal, Request, Result, Start};
    pub use crate::{bail, debug, ensure, error, info, params, trace, warn};
    pub use crate::{clock, history, log, settings, sql, timers, topics};
}

/// For the macros of this crate. Anything in here may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::export::Module;
}
