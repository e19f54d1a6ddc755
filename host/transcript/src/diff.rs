//! What was expected beside what came.

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

use crate::compare::Mismatch;
use crate::text::plain;

#[cfg(test)]
mod tests;

/// Lines that are the same, shown around those that differ.
const CONTEXT: usize = 3;

const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

/// A text in red: what was expected, and failures. [`anstream`](https://docs.rs/anstream) removes the colour where
/// it is not wanted.
pub(crate) fn red(text: &str) -> String {
    format!("{RED}{text}{RED:#}")
}

/// A text in green: what came, and successes.
pub(crate) fn green(text: &str) -> String {
    format!("{GREEN}{text}{GREEN:#}")
}

/// The two texts in colours: short ones below each other, longer ones as a diff. Ends with a line end.
pub fn diff(mismatch: &Mismatch) -> String {
    let (expected, got) = (plain(&mismatch.expected), plain(&mismatch.got));
    if !expected.contains('\n') && !got.contains('\n') {
        let (expected, got) = (format!("expected: {expected}"), format!("got:      {got}"));
        return format!("{}\n{}\n", red(&expected), green(&got));
    }
    format!("{}\n{}\n{}", red("- expected"), green("+ got"), lines(&expected, &got))
}

fn lines(expected: &str, got: &str) -> String {
    // Otherwise a last line would differ for lack of a line end.
    let (expected, got) = (format!("{expected}\n"), format!("{got}\n"));
    let diff = TextDiff::from_lines(&expected, &got);
    let hunks = diff.grouped_ops(CONTEXT).into_iter().map(|hunk| {
        let changes = hunk.iter().flat_map(|operation| diff.iter_changes(operation));
        changes.map(|change| line(change.tag(), change.value())).collect::<String>()
    });
    hunks.collect::<Vec<_>>().join("  …\n")
}

fn line(tag: ChangeTag, text: &str) -> String {
    let text = text.trim_end_matches('\n');
    let line = match tag {
        ChangeTag::Equal => format!("  {text}"),
        ChangeTag::Delete => red(&format!("- {text}")),
        ChangeTag::Insert => green(&format!("+ {text}")),
    };
    format!("{line}\n")
}
