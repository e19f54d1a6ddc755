//! Watching files: the sources of an app, to build it again, and its module, to load it again.

mod changes;
mod modules;
mod read;
mod route;
mod sources;
#[cfg(test)]
mod tests;

pub use modules::ModuleWatcher;
pub use read::read_whole;
pub use sources::SourceWatcher;
