//! The imports, as the rest of this crate calls them: those of the host that runs the module, or in a unit
//! test those of [`testing`](crate::testing), with the same signatures. The types are the contract's in both.

#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
pub(crate) use crate::bindings::{
    hassock::host::{about, connections, log, sql, timers, topics},
    wasi::config::store,
};
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub(crate) use crate::testing::imports::{about, connections, log, sql, store, timers, topics};
