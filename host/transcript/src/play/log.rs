//! The log lines that may explain a failure.

use crate::backend::LogLine;

/// Lines that are shown with a failure: what fits onto a screen.
const LINES: usize = 50;

/// What was logged since the last actions. Warnings and errors stay longer: the trap that closed a connection
/// explains a failure many steps later.
#[derive(Default)]
pub(super) struct Log {
    lines: Vec<LogLine>,
    /// Whether an expectation has passed since the last action: what was logged until then has done its duty.
    checked: bool,
}

impl Log {
    /// An action begins.
    pub(super) fn begin_action(&mut self) {
        if std::mem::take(&mut self.checked) {
            self.lines.retain(|line| matches!(line.level, "ERROR" | "WARN"));
        }
    }

    /// A step has passed, and this was logged meanwhile.
    pub(super) fn passed(&mut self, lines: Vec<LogLine>, expectation: bool) {
        self.checked |= expectation;
        self.add(lines);
    }

    /// Whatever went wrong was expected.
    pub(super) fn forget(&mut self) {
        self.lines.clear();
    }

    /// The lines so far.
    pub(super) fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// All of it, with what was logged meanwhile.
    pub(super) fn take(&mut self, lines: Vec<LogLine>) -> Vec<LogLine> {
        self.add(lines);
        std::mem::take(&mut self.lines)
    }

    fn add(&mut self, lines: Vec<LogLine>) {
        self.lines.extend(lines);
        self.lines.drain(..self.lines.len().saturating_sub(LINES));
    }
}
