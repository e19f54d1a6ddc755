//! Watching files: the sources of an app, to build it again, and its module, to load it again.
//!
//! Both are polled. Polling works on every file system, including network mounts, and does not depend on which folder
//! was renamed or replaced. [`ModuleWatcher`] also asks the system whether a program is still writing.

mod modules;
mod read;
mod sources;
#[cfg(test)]
mod tests;
mod writers;

pub use modules::ModuleWatcher;
pub use read::read_whole;
pub use sources::SourceWatcher;
