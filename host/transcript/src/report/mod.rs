//! The results of transcripts: for people, as JSON for programs and as JUnit XML for CI systems.

mod figures;
mod json;
pub mod junit;
mod people;

use std::time::Duration;

pub use json::object;
pub use people::{costs, failure, line, sentence, summary};

use crate::backend::Cost;
use crate::play::Failure;

#[cfg(test)]
mod tests;

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
    /// What the calls have cost, if it is known.
    pub cost: Option<Cost>,
    /// Real time.
    pub time: Duration,
}

/// Whether a transcript passed.
#[derive(Debug)]
pub enum Verdict {
    /// Everything is as it says.
    Passed,
    /// Something is different.
    Failed(Failure),
    /// It could not be played: its file cannot be read or parsed, or no backend can be made for it.
    Error {
        /// The line, if it is about one.
        line: Option<usize>,
        /// The column, counted from 1.
        column: Option<usize>,
        /// What is wrong, and what to do.
        message: String,
    },
}
