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
//! * [`settings`], [`timers`], [`clock`], [`log`], [`host_version`]
//!
//! What fails, fails with an [`Error`]; one that leaves the handler goes into the host's log. A panic ends
//! the call, and the host replaces the instance; other connections do not notice.
//!
//! # Unit tests
//!
//! With the feature `testing` a handler runs under plain `cargo test`, on the developer's own machine and
//! without a host: against the connections, topics, timers, settings, clock and databases (SQLite in memory,
//! or answers that the test scripts) of a `testing::TestHost`.
//!
//! ```toml
//! [dev-dependencies]
//! hassock-guest = { version = "0.1", features = ["testing"] }
//! ```
//!
//! ```
//! # use hassock_guest::prelude::*;
//! # struct Echo;
//! # impl Handler for Echo {
//! #     fn start() -> Result<Self> { Ok(Self) }
//! #     fn message(&self, connection: Connection, message: Message) -> Result<()> {
//! #         connection.send(message).map(drop)
//! #     }
//! # }
//! # #[cfg(feature = "testing")]
//! # fn main() -> Result<()> {
//! use hassock_guest::testing::TestHost;
//!
//! let host = TestHost::<Echo>::new();
//! let client = host.connect("/echo")?;
//! client.send("hello");
//! assert_eq!(client.received(), [Message::from("hello")]);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```
//!
//! Without that feature this crate compiles for other targets than WebAssembly, but a call that needs a host
//! panics. With it, a module that is built for WebAssembly is the same as without.

mod answer;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod connection;
mod error;
#[doc(hidden)]
pub mod handler;
mod host;
pub mod log;
mod message;
mod request;
pub mod settings;
pub mod sql;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
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
    host::about::host()
}

/// All that a module usually needs: `use hassock_guest::prelude::*;`.
pub mod prelude {
    pub use crate::sql::{Database, Row, Rows, Transaction, Value};
    pub use crate::{Acceptance, ClosedBy, Closing, Connection, Error, Handler, Message, Refusal, Request, Result};
    pub use crate::{clock, log, settings, sql, timers, topics};
    pub use crate::{debug, error, info, params, trace, warn};
}

/// For the macros of this crate. Anything in here may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::handler;
}
