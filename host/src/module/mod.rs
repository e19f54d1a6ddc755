//! Modules: from a component's bytes to calls of its functions.
//!
//! [`Engine`] compiles and meters, [`Version`] is one exact module, [`Pool`] has the instances of an app,
//! and [`call`] has one function for each export that the host calls.

pub mod bindings;
mod cache;
pub mod call;
mod compile;
mod engine;
mod error;
mod output;
mod pool;
mod state;
mod stats;
mod version;
mod watch;

pub use compile::stepping_back;
pub use engine::{Engine, TICK};
pub use error::{CallError, FailedCall, LoadError};
pub use pool::Pool;
pub use state::{CallContext, LogBudget, State};
pub use stats::Stats;
pub use version::{Version, VersionId, version_id};
pub use watch::Watch;
