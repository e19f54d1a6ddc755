//! Unit tests of handlers, with the feature `testing`: a [`MockHost`] runs a handler under plain `cargo test`,
//! without a host, a network, a database server or a build for WebAssembly.
//!
//! ```toml
//! [dev-dependencies]
//! hassock-sdk = { version = "0.1", features = ["testing"] }
//! ```
//!
//! ```
//! use std::time::Duration;
//!
//! use hassock_sdk::prelude::*;
//! use hassock_sdk::testing::MockHost;
//!
//! #[derive(Default)]
//! struct Room;
//!
//! impl Handler for Room {
//!     type Message<'a> = &'a str;
//!
//!     fn on_open(&self, connection: Connection, request: &Request) -> Result<Acceptance, Refusal> {
//!         let Some(name) = request.query_value("name") else {
//!             return Err(Refusal::new(403, "a name is needed"));
//!         };
//!         connection.set_timer("greet", Duration::from_secs(5), &())?;
//!         Ok(Acceptance::new().topic("room").attachment(&name)?)
//!     }
//!
//!     fn on_message(&self, connection: Connection, text: &str) -> Result<()> {
//!         let name: String = connection.attachment()?;
//!         ensure!(text != "fail", "told to fail");
//!         topics::publish("room", format!("{name}: {text}"))?;
//!         Ok(())
//!     }
//!
//!     fn on_connection_timer(&self, connection: Connection, _: &Timer) -> Result<()> {
//!         connection.send(settings::get_or("greeting", "hello"))
//!     }
//! }
//!
//! let host = MockHost::<Room>::builder().setting("greeting", "welcome").build();
//! assert_eq!(host.request("/room").unwrap_err().status, 403);
//!
//! let alice = host.connect("/room?name=alice");
//! let bob = host.connect("/room?name=bob");
//! alice.send_text("hi");
//! bob.expect_text("alice: hi");
//!
//! host.advance(Duration::from_secs(5));
//! bob.expect_text("welcome");
//!
//! // A mistake of the client is answered, any other error closes the connection, and its text is in the log.
//! bob.send_binary([1, 2, 3]);
//! bob.expect_text(r#"{"error":"the message is binary; send text"}"#);
//! bob.send_text("fail");
//! assert_eq!(bob.closed().0, 1011);
//! assert_eq!(host.take_log()[0].to_string(), "ERROR receive failed: told to fail");
//! assert_eq!(alice.topics(), ["room"]);
//! ```
//!
//! The words are those of transcripts and of the host's testkit, which tests the built module: connect, send, expect,
//! advance, fail, disconnect, vanish.
//!
//! It does what the host does: ids count from 1, calls fail with the same errors at the same [`Limits`], `on_close` is
//! called exactly once, and a transaction that a call leaves open is rolled back. Everything happens at once: when
//! [`MockClient::send`] returns, the handler is done, all clients have what it sent, and connections that it closed
//! have ended. There is one instance, until [`MockHost::fail_instances`].
//!
//! It differs from the host in these points:
//! * A panic of the handler is not caught: it fails the test. In a host it ends the call, and the instance.
//! * Time stands still until [`MockHost::advance`]: [`clock::now`](crate::clock::now) returns the test's time,
//!   `SystemTime::now` the real time.
//! * The time of calls, memory, the rate of messages and the lines of the log are not limited.
//! * Databases are SQLite in memory with one connection: within a transaction, a statement outside of it finds
//!   [`PoolExhausted`](crate::SqlError::PoolExhausted). What only MariaDB can do needs [`MockHostBuilder::scripted`],
//!   or a test with a real MariaDB.
//!
//! A function that needs a host panics if it is called outside of one.

// A test must fail at once and with a clear message, so functions that only tests call may panic.
#![allow(clippy::panic)]

mod answer;
mod builder;
mod client;
mod connect;
mod current;
mod database;
mod engine;
mod expect;
mod history;
mod host;
pub(crate) mod imports;
mod limits;
mod log;
mod module;
mod outbox;
mod state;
#[cfg(test)]
mod tests;
mod timers;

pub use answer::Answer;
pub use builder::MockHostBuilder;
pub use client::{MockClient, Received};
pub use connect::Connect;
pub use database::{MockDatabase, Scripted};
pub use host::MockHost;
pub use limits::Limits;
pub use log::LogLine;

pub(crate) use current::now;

/// What [`host_version`](crate::host_version) returns in a test.
pub const HOST_VERSION: &str = concat!("Hassock ", env!("CARGO_PKG_VERSION"));
