//! Hassock has the sockets; your module has the logic.
//!
//! A native host owns TCP, WebSocket handshakes, limits, topics and the database pools. Application logic
//! is a WebAssembly component behind the small contract in `wit/`. A message travels through the modules
//! in this order:
//!
//! [`listen`] → [`handshake`] → [`session`] → [`module`] → [`imports`] → the session's outbox → socket.
//!
//! Beside it: [`config`], [`deploy`], [`shutdown`], [`telemetry`], [`app`] (what outlives an instance) and
//! [`database`], [`admin`] for operators, and [`record`] for recordings of the traffic. [`Host::start`] puts
//! them together.
//!
//! For tests of modules: [`lab`] is what surrounds a module in place of the real world, [`testkit`] a whole host
//! in it, and the commands play transcripts (the crate `hassock_transcript`) on that, or against a running host.

pub mod admin;
pub mod app;
pub mod build;
pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
pub mod deploy;
pub mod handshake;
mod host;
pub mod imports;
pub mod lab;
pub mod listen;
pub mod module;
mod patience;
pub mod record;
pub mod session;
pub mod shutdown;
pub mod telemetry;
pub mod testkit;

pub use host::{Host, StartError};

/// What the host calls itself.
pub const VERSION: &str = concat!("Hassock ", env!("CARGO_PKG_VERSION"));
