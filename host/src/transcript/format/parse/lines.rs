//! A text that goes over several lines, and where each of its characters comes from.

use super::super::names::is_blank;
use super::ParseError;
use super::cursor::Cursor;

/// The rest of a step's first line, unless it is blank, and the lines below without their common indentation.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    pieces: Vec<Cursor<'a>>,
    /// Where the text was to begin.
    start: Cursor<'a>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(mut first: Cursor<'a>, more: &[Cursor<'a>]) -> Self {
        first.skip_blanks();
        let common = common_indentation(more);
        let below = more.iter().map(|line| line.after(common));
        let mut pieces: Vec<_> = Some(first).filter(|line| !line.is_done()).into_iter().chain(below).collect();
        if let Some(piece) = pieces.first_mut() {
            piece.skip_blanks();
        }
        let start = pieces.first().copied().unwrap_or(first);
        Self { pieces, start }
    }

    /// The whole text. It is empty only if there is none.
    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(Cursor::rest).collect::<Vec<_>>().join("\n")
    }

    /// Something is wrong with the text as a whole.
    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        self.start.error(message)
    }

    /// Something is wrong with the character at this byte of [`text`](Self::text).
    pub(super) fn error_at(&self, byte: usize, message: impl Into<String>) -> ParseError {
        let mut left = byte;
        for piece in &self.pieces {
            if left <= piece.rest().len() {
                return piece.after(floor(piece.rest(), left)).error(message);
            }
            left -= piece.rest().len() + 1;
        }
        self.error(message)
    }

    /// The byte of [`text`](Self::text) at a line and a byte of it, both counted from 1; past its end, the end.
    pub(super) fn byte(&self, line: usize, column: usize) -> usize {
        let before: usize = self.pieces.iter().take(line.saturating_sub(1)).map(|piece| piece.rest().len() + 1).sum();
        let length = self.pieces.get(line.saturating_sub(1)).map_or(0, |piece| piece.rest().len());
        before + column.saturating_sub(1).min(length)
    }
}

/// The end of the last whole character before this byte.
fn floor(text: &str, byte: usize) -> usize {
    (0..=byte).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or_default()
}

fn common_indentation(lines: &[Cursor<'_>]) -> usize {
    let indentation =
        |line: &Cursor<'_>| -> String { line.rest().chars().take_while(|char| is_blank(*char)).collect() };
    let shared = |left: String, right: String| -> String {
        left.chars().zip(right.chars()).take_while(|(left, right)| left == right).map(|(char, _)| char).collect()
    };
    lines.iter().map(indentation).reduce(shared).map_or(0, |indentation| indentation.len())
}
