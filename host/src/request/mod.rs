//! What a request says before there is a connection: its host, origin, path and subprotocols. Clients choose all of it.
//! This knows nothing of apps, so that it can be fuzzed: `host/fuzz/run request`.

mod client_address;
pub(crate) mod hosts;
pub(crate) mod origin;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod proxies;
mod routes;
pub(crate) mod subprotocols;

pub use client_address::ClientAddress;
pub(crate) use hosts::ServedHosts;
pub use proxies::{ForwardedClient, TrustedProxies};
pub(crate) use routes::Routes;
