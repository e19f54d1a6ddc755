//! Lines in the host's log: [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error). The host adds the app, the version and the connection of the
//! call to each line. It cuts a line at 8 KiB. After the app's `log_lines_per_call` lines in one call, it counts
//! further lines and leaves them out.
//!
//! These are the macros of the crate [`log`], so the lines of a library that uses it reach the log, too. Every line
//! reaches the host, which decides what it writes; [`set_max_level`] drops lines within the module.
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

/// Pass what is logged with the crate `log` on to the host, and what was sent before a panic. A module or a test that has
/// installed another logger keeps it.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if ::log::set_logger(&HostLog).is_ok() {
            set_max_level(LevelFilter::Trace);
        }
        crate::host::replies::flush_on_panic();
    });
}
