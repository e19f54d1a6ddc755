//! From a config to apps that serve, and from one version of a module to the next, under live connections.
//!
//! Reading order: `gate` (what a version has to pass before it gets traffic) → `standing` and `versions` (which
//! of them stands where) → `assign` (which of them serves a call) → `rollout` (what follows from a change) →
//! `prepare` and `reload` (a whole config, at the start and again) → `control` (what can be done, in one place for
//! all who may) → `watch` and `follow` (files that change).

mod control;
mod follow;
mod gate;
mod prepare;
mod reload;
mod watch;

pub use crate::app::versions::{AppReport, Counts, Outcome, PinOutcome, Refusal, VersionReport, VersionStatus};
pub use control::{Control, DeployError, Pin, Rollout};
pub use gate::{GateError, Source};
pub use prepare::{Databases, Prepared, prepare};
pub use reload::ReloadReport;
pub use watch::{ModuleWatcher, SourceWatcher, read_whole};

pub(crate) use control::module_files;
pub(crate) use follow::follow_files;
