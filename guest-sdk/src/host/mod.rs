//! The imports, as the rest of this crate calls them, with the types of this crate: those of the host that runs the
//! module, or in a unit test those of [`testing`](crate::testing), with the same signatures.

#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
mod component;

#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
pub(crate) use component::*;

#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub(crate) use crate::testing::imports::*;
