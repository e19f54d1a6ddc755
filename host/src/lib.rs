//! Hassock has the sockets; your module has the logic.
//!
//! A native host owns TCP, WebSocket handshakes, limits, topics and the database pools. Application logic is a
//! WebAssembly component behind the small contract in `wit/`. A message travels through the modules in this order:
//!
//! [`listen`] → [`handshake`] → [`session`] → [`app`] (version → instance → imports → outbox) → [`session`] → socket.
//!
//! The modules below are in layers: each uses only those above it in this list, which the test `layers` holds.
//! `host/ARCHITECTURE.md` describes them, and the invariants that comments cite by number.

// Leaves: they use nothing of the host.
mod allocator;
pub mod client_protocol;
pub mod config;
mod external;
mod handshake_counts;
mod histogram;
mod http_client;
mod lazy_timeout;
mod memory_budget;
mod notices;
mod open_files;
mod priority;
mod private_file;
mod runtime;
mod service_manager;
pub mod telemetry;
mod text;
mod token;

mod api_counts;

mod auth;
mod cluster;

pub mod database;
pub mod module;
pub mod request;
pub mod sim;
mod traces;

pub mod addresses;
pub mod socket;

pub mod tls;

pub mod app;
pub mod session;

mod relays;

mod host_state;

mod eviction;

pub mod handshake;
pub mod listen;
pub mod shutdown;

pub mod record;

pub mod deploy;

pub mod admin;
pub mod api;
mod host;

pub mod build;
pub mod testkit;

pub mod commands;

pub mod cli;

#[cfg(test)]
mod layers;

pub use host::{Entrances, Host, Listening, StartError};
pub use runtime::runtime;

/// What the host calls itself.
pub const VERSION: &str = concat!("Hassock ", env!("CARGO_PKG_VERSION"));
