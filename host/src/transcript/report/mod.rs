//! How transcripts went: for people, and as JSON for programs.

mod figures;
mod json;
mod people;

use std::time::Duration;

pub use json::object;
pub use people::{costs, failure, line, sentence, summary};

use super::play::Failure;
use super::stage::Cost;

#[cfg(test)]
pub(super) mod tests;

/// A transcript that was played, or could not be.
#[derive(Debug)]
pub struct Finished {
    /// Its file, as it was named.
    pub file: String,
    /// How many steps it has.
    pub steps: usize,
    /// How many corrections were made to it.
    pub corrections: usize,
    /// Whether it passed.
    pub verdict: Verdict,
    /// What it has cost the module, where that is known.
    pub cost: Option<Cost>,
    /// Real time.
    pub time: Duration,
}

/// Whether a transcript passed.
#[derive(Debug)]
pub enum Verdict {
    /// All is as it says.
    Passed,
    /// Something is not.
    Failed(Failure),
    /// It could not be played: its file cannot be read or parsed, or there is no stage for it.
    Error {
        /// The line, if it is about one.
        line: Option<usize>,
        /// The column, counted from 1.
        column: Option<usize>,
        /// What is wrong, and what to do.
        message: String,
    },
}
