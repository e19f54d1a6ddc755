//! Modules as code: from the bytes of a component to what wasmtime can instantiate, and what can go wrong with either.
//!
//! [`Engine`] compiles and measures, with a cache of compiled code. [`bindings`] is the contract of `wit/`.

pub mod bindings;
mod cache;
mod compile;
mod engine;
mod error;
mod id;
pub mod resources;

pub(crate) use compile::run_niced;
pub use engine::{Engine, TICK};
pub use error::{CallError, FailedCall, LoadError};
pub use id::{VersionId, version_id};
