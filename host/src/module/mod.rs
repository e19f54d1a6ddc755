//! Modules as code: from the bytes of a component to a value that wasmtime can instantiate, and the errors of both.
//!
//! [`Engine`] compiles modules and measures their computing time, with a cache of compiled code. [`bindings`] contains
//! the interfaces of `wit/`.

mod binary;
pub mod bindings;
mod cache;
mod compile;
mod engine;
mod error;
mod message;
pub mod resources;

pub use binary::{Binary, VersionId, version_id};
pub(crate) use compile::run_niced;
pub use engine::{Engine, Membership, TICK};
pub use error::{CallError, CallErrorKind, FailedCall, LoadError};
pub(crate) use message::{message, payload};
