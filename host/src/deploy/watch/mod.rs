//! Watching files: the sources of an app, to build it again, and its module, to load it again.
//!
//! Both are polled. A poll works on every file system, also on a network mount, and does not depend on which folder
//! was renamed or replaced. [`ModuleWatcher`] asks the system for one thing more: whether a program is still writing.

mod modules;
mod read;
mod sources;
#[cfg(test)]
mod tests;
mod writers;

pub use modules::ModuleWatcher;
pub use read::read_whole;
pub use sources::SourceWatcher;
