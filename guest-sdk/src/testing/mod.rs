//! Unit tests of handlers, with the feature `testing`: a [`TestHost`] runs a handler under plain `cargo test`,
//! without a host, a network, a database server or a build for WebAssembly.
//!
//! ```toml
//! [dev-dependencies]
//! hassock-guest = { version = "0.1", features = ["testing"] }
//! ```
//!
//! ```
//! use std::time::Duration;
//!
//! use hassock_guest::prelude::*;
//! use hassock_guest::testing::TestHost;
//!
//! struct Room;
//!
//! impl Handler for Room {
//!     fn start() -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
//!         let Some(name) = request.query_value("name") else {
//!             return Err(Refusal::new(403, "a name is needed"));
//!         };
//!         connection.set_timer("greet", Duration::from_secs(5), [])?;
//!         Ok(Acceptance::new().topic("room").attachment(&name)?)
//!     }
//!
//!     fn message(&self, connection: Connection, message: Message) -> Result<()> {
//!         let name: String = connection.attachment()?;
//!         let text = message.as_text().ok_or("only text is spoken here")?;
//!         topics::publish("room", format!("{name}: {text}"))?;
//!         Ok(())
//!     }
//!
//!     fn timer(&self, connection: Option<Connection>, _: &str, _: &[u8]) -> Result<()> {
//!         connection.ok_or("no connection")?.send(settings::get_or("greeting", "hello"))?;
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let host = TestHost::<Room>::builder().setting("greeting", "welcome").build();
//! assert_eq!(host.connect("/room").unwrap_err().status(), 403);
//!
//! let alice = host.connect("/room?name=alice")?;
//! let bob = host.connect(host.request("/room?name=bob").header("origin", "https://a.example"))?;
//! alice.send("hi");
//! assert_eq!(bob.received(), [Message::from("alice: hi")]);
//!
//! host.advance(Duration::from_secs(5));
//! assert_eq!(bob.received(), [Message::from("welcome")]);
//!
//! // An error closes the connection, and its text is in the log.
//! bob.send(vec![1, 2, 3]);
//! assert_eq!(bob.closed().map(|closing| closing.code), Some(1011));
//! assert_eq!(host.log(), [(log::Level::Error, "message failed: only text is spoken here".to_owned())]);
//! assert_eq!(alice.topics(), ["room"]);
//! # Ok(())
//! # }
//! ```
//!
//! What it does is what the host does: ids count from 1, calls fail with the same errors at the same
//! [`Limits`], `closed` is called exactly once, and a transaction that a call leaves open is rolled back. All
//! happens at once: when [`Client::send`] returns, the handler is done, everybody has what it sent, and
//! connections that it closed have ended. There is one instance, until [`TestHost::restart`].
//!
//! It differs in this:
//! * A panic of the handler is not caught: it fails the test. In a host it ends the call, and the instance.
//! * Time stands still until [`TestHost::advance`]: [`clock::now`](crate::clock::now) tells the test's time,
//!   `SystemTime::now` the real one.
//! * Nothing bounds time, memory, the rate of messages, or lines of the log.
//! * Databases are SQLite in memory with one connection: within a transaction, a statement outside of it finds
//!   [`PoolExhausted`](crate::sql::Error::PoolExhausted). What is special to MariaDB needs
//!   [`Builder::scripted`], or a test with the real one.
//!
//! A call that needs a host and is made outside of one panics.

// A test is to fail at once and with a sentence, so functions that only tests call may panic.
#![allow(clippy::panic)]

mod answer;
mod builder;
mod client;
mod current;
mod database;
mod engine;
mod host;
pub(crate) mod imports;
mod limits;
mod module;
mod outbox;
mod request;
mod state;
#[cfg(test)]
mod tests;
mod timers;

pub use answer::{Accepted, Refused};
pub use builder::Builder;
pub use client::Client;
pub use database::{Answer, TestDatabase};
pub use host::TestHost;
pub use limits::Limits;
pub use request::Connect;

pub(crate) use current::now;

/// What [`host_version`](crate::host_version) tells in a test.
pub const HOST_VERSION: &str = concat!("Hassock ", env!("CARGO_PKG_VERSION"));
