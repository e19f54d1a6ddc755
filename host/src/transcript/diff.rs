//! What was expected and what came, one beside the other.

use similar::{ChangeTag, TextDiff};

use super::compare::Mismatch;
use crate::text::terminal_text;

#[cfg(test)]
mod tests;

/// Lines that are the same, shown around those that differ.
const CONTEXT: usize = 3;

/// Whether the terminal understands colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only, for files and pipes.
    Plain,
    /// With the escape sequences for colours.
    Colour,
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
}

impl Style {
    /// A text in a colour, if the terminal has it.
    pub(super) fn paint(self, colour: Colour, text: &str) -> String {
        match (self, colour) {
            (Self::Plain, _) => text.to_owned(),
            (Self::Colour, Colour::Red) => format!("\u{1b}[31m{text}\u{1b}[0m"),
            (Self::Colour, Colour::Green) => format!("\u{1b}[32m{text}\u{1b}[0m"),
        }
    }
}

/// The two texts: short ones below each other, longer ones as a diff. Ends with a line end.
pub fn diff(mismatch: &Mismatch, style: Style) -> String {
    let (expected, got) = (terminal_text(&mismatch.expected), terminal_text(&mismatch.got));
    if !expected.contains('\n') && !got.contains('\n') {
        let expected = style.paint(Colour::Red, &format!("expected: {expected}"));
        return format!("{expected}\n{}\n", style.paint(Colour::Green, &format!("got:      {got}")));
    }
    let heads = [style.paint(Colour::Red, "- expected"), style.paint(Colour::Green, "+ got")];
    format!("{}\n{}", heads.join("\n"), lines(&expected, &got, style))
}

fn lines(expected: &str, got: &str, style: Style) -> String {
    // So that a last line is not another one for lack of a line end.
    let (expected, got) = (format!("{expected}\n"), format!("{got}\n"));
    let diff = TextDiff::from_lines(&expected, &got);
    let hunks = diff.grouped_ops(CONTEXT).into_iter().map(|hunk| {
        let changes = hunk.iter().flat_map(|operation| diff.iter_changes(operation));
        changes.map(|change| line(change.tag(), change.value(), style)).collect::<String>()
    });
    hunks.collect::<Vec<_>>().join("  …\n")
}

fn line(tag: ChangeTag, text: &str, style: Style) -> String {
    let text = text.trim_end_matches('\n');
    let line = match tag {
        ChangeTag::Equal => format!("  {text}"),
        ChangeTag::Delete => style.paint(Colour::Red, &format!("- {text}")),
        ChangeTag::Insert => style.paint(Colour::Green, &format!("+ {text}")),
    };
    format!("{line}\n")
}
