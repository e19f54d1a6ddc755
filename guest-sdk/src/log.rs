//! Lines in the host's log: [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error). Each line carries the app, the version and the
//! connection of the call by itself. The host cuts a line at 8 KiB, and leaves lines out (it counts them)
//! after the app's `log_lines_per_call` in one call.
//!
//! These are the macros of the crate [`log`], so the lines of a library that uses it are among them. Every
//! line reaches the host, which decides what it writes; [`set_max_level`] drops lines within the module.
//!
//! What a module prints to its standard output and standard error becomes log lines, too.

use std::sync::Once;

use ::log::{Log, Metadata, Record};

pub use ::log::{Level, LevelFilter, debug, error, info, set_max_level, trace, warn};

/// Passes the lines of the crate `log` on to the host.
struct HostLog;

impl Log for HostLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let arguments = record.args();
        match arguments.as_str() {
            Some(line) => crate::host::log::write(record.level(), line),
            None => crate::host::log::write(record.level(), &arguments.to_string()),
        }
    }

    fn flush(&self) {}
}

/// Have the host log what the crate `log` is told. A module or a test that has installed another logger keeps it.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if ::log::set_logger(&HostLog).is_ok() {
            set_max_level(LevelFilter::Trace);
        }
    });
}
