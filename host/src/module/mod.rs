//! Modules: from a component's bytes to calls of its functions.
//!
//! [`Engine`] compiles and meters, [`Version`] is one exact module with its pool of instances, and
//! [`call`] has one function for each export that the host calls.

pub mod bindings;
pub mod call;
mod engine;
mod error;
mod output;
mod pool;
mod state;
mod version;

pub use engine::{Engine, TICK};
pub use error::{CallError, LoadError};
pub use state::{CallContext, LogBudget, State};
pub use version::{Version, VersionId};
