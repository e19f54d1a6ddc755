//! A panic of a module. Rust's standard library prints it, in several lines, before the module traps; it becomes one error
//! with what it says and where.

use crate::text::log_line;

/// The beginning of the first line of a panic, and what stands between the thread and the place.
const THREAD: &str = "thread '";
const PANICKED: &str = " panicked at ";

/// The beginning of the line that Rust prints when an allocation fails. The error of the call says more.
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// The beginning of the last line of a panic. Its advice does not help: a module has no environment.
const NOTE: &str = "note: run with `RUST_BACKTRACE";

/// Bytes of the lines that are kept. More are lines like any others.
const MAX_BYTES: usize = 8 << 10;

/// A panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Panic {
    /// File, line and column.
    pub(super) at: String,
    /// What it says.
    pub(super) message: String,
}

/// The lines of a panic that a module has printed.
#[derive(Debug, Default)]
pub(super) struct PanicLines {
    lines: Vec<String>,
    bytes: usize,
}

impl PanicLines {
    /// Keep a line if it belongs to a panic. False if it does not, or if there are too many.
    pub(super) fn keep(&mut self, line: &str) -> bool {
        let is_first = Self::begins(line);
        // Lines without anything in them need memory too.
        let bytes = line.len() + size_of::<String>();
        if is_first {
            *self = Self::default();
        } else if self.lines.is_empty() || self.bytes + bytes > MAX_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.lines.push(line.to_owned());
        true
    }

    /// Whether a panic, or what looks like one, begins with this line.
    pub(super) fn begins(line: &str) -> bool {
        (line.starts_with(THREAD) && line.contains(PANICKED)) || line.starts_with(OUT_OF_MEMORY)
    }

    /// The panic, if there is one. Other lines stay.
    pub(super) fn take(&mut self) -> Option<Panic> {
        let is_panic = self.lines.first().is_some_and(|line| line.starts_with(THREAD));
        let lines = if is_panic { std::mem::take(self).lines } else { return None };
        let (first, rest) = lines.split_first()?;
        let (_, at) = first.split_once(PANICKED)?;
        let message: Vec<&str> = rest.iter().map(String::as_str).filter(|line| !line.starts_with(NOTE)).collect();
        // A module chooses both.
        let safe = |text: &str| log_line(text).into_owned();
        Some(Panic { at: safe(at.trim_end_matches(':')), message: safe(&message.join("\n")) })
    }

    /// The lines as they were printed: the module has not trapped.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(self).lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(lines: &[&str]) -> Option<Panic> {
        let mut kept = PanicLines::default();
        for line in lines {
            kept.keep(line);
        }
        kept.take()
    }

    fn expected(at: &str, message: &str) -> Option<Panic> {
        Some(Panic { at: at.to_owned(), message: message.to_owned() })
    }

    #[test]
    fn a_panic_is_one_thing() {
        let note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
        let lines = ["thread 'main' (1) panicked at src/lib.rs:7:9:", "one", "two", note];
        assert_eq!(panic(&lines), expected("src/lib.rs:7:9", "one\\ntwo"));
        assert_eq!(panic(&["thread '<unnamed>' panicked at a.rs:1:2:", ""]), expected("a.rs:1:2", ""));
        assert_eq!(panic(&["first", "thread 'x' panicked at a:", "b"]), expected("a", "b"));
        let twice = ["thread 'x' panicked at a:", "b", "thread 'x' panicked at c:", "d"];
        assert_eq!(panic(&twice), expected("c", "d"));
        assert_eq!(panic(&["thread 'x' waits", "b"]), None);
    }

    #[test]
    fn an_allocation_that_failed_is_no_panic() {
        let mut kept = PanicLines::default();
        assert!(kept.keep("memory allocation of 1048576 bytes failed"));
        assert_eq!(kept.take(), None);
        assert_eq!(kept.take_lines(), ["memory allocation of 1048576 bytes failed"]);
    }

    #[test]
    fn nothing_is_lost_and_the_length_is_bounded() {
        let mut kept = PanicLines::default();
        assert!(!kept.keep("before") && kept.keep("thread 'x' panicked at a:"));
        let many = (0..100).filter(|_| kept.keep(&"y".repeat(1 << 10))).count();
        assert_eq!(many, 7);
        assert_eq!((0..1_000_000).filter(|_| kept.keep("")).count(), 33);
        assert_eq!(kept.take_lines().len(), 41);
        assert_eq!(kept.take(), None);
        assert_eq!(panic(&["thread 'x' panicked at a:", "b\x1b[31m"]), expected("a", "b\\u{1b}[31m"));
    }
}
