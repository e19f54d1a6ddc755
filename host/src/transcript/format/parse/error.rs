//! What is wrong with a text, and where.

use std::path::Path;

/// A transcript that is none. `Display` leaves the file out: `LINE:COLUMN: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in it, counted from 1; one more than the line has if something is missing at its end.
    pub column: usize,
    /// What is wrong, and what would be accepted there.
    pub message: String,
}

impl ParseError {
    /// `FILE:LINE:COLUMN: message`, which editors and terminals turn into a link.
    #[must_use]
    pub fn in_file(&self, file: &Path) -> String {
        format!("{}:{self}", file.display())
    }
}
