//! From a config to apps that serve, and from one version of a module to the next, under live connections.
//!
//! Reading order: `gate` (what a version has to pass before it gets traffic) → `plan` (a whole config, at the start and
//! again; with `databases` and `changes`) → `control` (everything that an operator, a file or a signal can cause) → `watch`
//! and `follow` (files that change). Which version serves which connection is in [`app::versions`](crate::app::versions).

mod api_tokens;
mod auth;
mod changes;
mod control;
mod databases;
mod figures;
mod follow;
mod gate;
mod plan;
mod watch;

pub use crate::app::versions::{AppReport, Counts, Outcome, PinOutcome, Refusal, VersionReport, VersionStatus};
pub use api_tokens::{ApiToken, ApiTokens};
pub use control::{Control, DeployError, Pin, Rollout};
pub use databases::Databases;
pub use figures::HostFigures;
pub use gate::{GateError, Source};
pub use plan::{Prepared, ReloadReport, prepare};
pub use watch::{ModuleWatcher, SourceWatcher, read_whole};

pub(crate) use control::module_files;
pub(crate) use figures::ApiFigures;
pub(crate) use follow::follow_files;
