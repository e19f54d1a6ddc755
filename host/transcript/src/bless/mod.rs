//! Correcting a transcript so that it tells what really happens.

mod heard;
mod merge;

use std::ops::RangeInclusive;

pub use heard::{kept as kept_position, merge_heard};
pub use merge::{merge_message, merge_table};

#[cfg(test)]
mod tests;

/// A correction of a transcript's text. Lines are those of the text before any correction, counted from 1; a
/// text has no line end after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blessing {
    /// A step is another one now.
    Replace {
        /// The lines of the step.
        lines: RangeInclusive<usize>,
        /// The step.
        text: String,
    },
    /// A step is not there any more.
    Delete {
        /// The lines of the step.
        lines: RangeInclusive<usize>,
    },
    /// A new step. Several after the same line stand in the order in which they are given.
    InsertAfter {
        /// The line; 0 is the beginning.
        line: usize,
        /// The step.
        text: String,
    },
}

/// Correct a text. Every line that is not replaced or deleted stays as it is, byte for byte, and comments and
/// blank lines within a step that is replaced or deleted stay too.
pub fn apply(text: &str, blessings: Vec<Blessing>) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut result = Text { text: String::with_capacity(text.len()), end };
    result.inserted_after(0, &blessings);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        match blessings.iter().find(|blessing| blessing.touches(number)) {
            Some(Blessing::Replace { lines, text }) if *lines.start() == number => result.step(text),
            // The step's own comment or blank line.
            Some(_) if is_ignored(line) => result.line(line),
            Some(_) => {}
            None => result.line(line),
        }
        result.inserted_after(number, &blessings);
    }
    result.text
}

impl Blessing {
    /// Whether it takes a line away.
    fn touches(&self, number: usize) -> bool {
        match self {
            Self::Replace { lines, .. } | Self::Delete { lines } => lines.contains(&number),
            Self::InsertAfter { .. } => false,
        }
    }
}

/// A text that is being written.
struct Text {
    text: String,
    end: &'static str,
}

impl Text {
    /// A line as it was. Only the last one of a text may lack a line end, and stays so if it is the last again.
    fn line(&mut self, line: &str) {
        self.begin_line();
        self.text.push_str(line);
    }

    fn step(&mut self, step: &str) {
        for line in step.lines() {
            self.begin_line();
            self.text.push_str(line);
            self.text.push_str(self.end);
        }
    }

    fn inserted_after(&mut self, number: usize, blessings: &[Blessing]) {
        for blessing in blessings {
            match blessing {
                Blessing::InsertAfter { line, text } if *line == number => self.step(text),
                _ => {}
            }
        }
    }

    fn begin_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push_str(self.end);
        }
    }
}

/// Whether the format ignores a line.
fn is_ignored(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}
