//! What a request says before there is a connection: its host, origin, path and subprotocols. Clients choose all of it.
//! This knows nothing of apps, so that it can be fuzzed: `host/fuzz/run request`.

pub(crate) mod hosts;
pub(crate) mod origin;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod routes;
pub(crate) mod subprotocols;

pub(crate) use hosts::ServedHosts;
pub(crate) use routes::Routes;
