//! The log of a host in a test.

use std::fmt;

use crate::log::Level;

/// A line of the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How severe it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5} {}", self.level, self.text)
    }
}
