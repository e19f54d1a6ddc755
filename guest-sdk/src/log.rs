//! Lines in the host's log: [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error). Each line carries the app, the version and the
//! connection of the call by itself. The host cuts a line at 8 KiB, and leaves lines out (it counts them)
//! after the app's `log_lines_per_call` in one call.
//!
//! What a module prints to its standard output and standard error becomes log lines, too.

pub use crate::bindings::hassock::host::log::Level;
pub use crate::{debug, error, info, trace, warn};

/// Write a line. The macros do the same and format their arguments.
pub fn write(level: Level, line: &str) {
    crate::host::log::write(level, line);
}

/// Write a line that matters only to who follows every step, with arguments as for `format!`.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($argument)+)) };
}

/// Write a line that helps to find a fault, with arguments as for `format!`.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($argument)+)) };
}

/// Write a line about what happens normally, with arguments as for `format!`.
#[macro_export]
macro_rules! info {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($argument)+)) };
}

/// Write a line about what should not be so, but does no harm yet, with arguments as for `format!`.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($argument)+)) };
}

/// Write a line about what failed, with arguments as for `format!`.
#[macro_export]
macro_rules! error {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($argument)+)) };
}
