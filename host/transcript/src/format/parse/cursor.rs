//! A place within a line, and texts that go over several lines.

use super::super::names::{begins_name, in_name, is_blank};
use super::ParseError;

/// Advice for a comment behind a step.
pub(super) const COMMENT_ADVICE: &str = "a comment has a line of its own";

/// The rest of a line, and where it begins. A copy keeps a place to return to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor<'a> {
    line: usize,
    column: usize,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a line. White space at its end has no meaning, because it is invisible.
    pub(super) fn new(line: usize, text: &'a str) -> Self {
        Self { line, column: 1, rest: text.trim_end_matches([' ', '\t', '\r']) }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// This many bytes further on, or at the end.
    pub(super) fn after(mut self, bytes: usize) -> Self {
        self.take(bytes);
        self
    }

    /// The next bytes only.
    pub(super) fn until(mut self, bytes: usize) -> Self {
        self.rest = self.rest.get(..bytes).unwrap_or(self.rest);
        self
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }

    /// Everything up to the first character that does not fit.
    pub(super) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|char| !fits(char)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Everything up to the next white space.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_while(|char| !is_blank(char))
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// Whether the rest began with this, which is now behind.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let begins = self.rest.starts_with(text);
        if begins {
            self.take(text.len());
        }
        begins
    }

    /// A name, if one is here.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        self.rest.starts_with(begins_name).then(|| self.take_while(in_name))
    }

    /// A name, which must be here.
    pub(super) fn expect_name(&mut self, what: &str) -> Result<&'a str, ParseError> {
        let here = *self;
        self.name().ok_or_else(|| {
            here.error(format!("expected {what}: a letter or `_`, then letters, digits, `_`, `.` or `-`"))
        })
    }

    /// Nothing but the end of the line may be here.
    pub(super) fn expect_end(&mut self, after: &str) -> Result<(), ParseError> {
        self.skip_blanks();
        if self.is_done() {
            return Ok(());
        }
        self.expect_no_comment()?;
        Err(self.error(format!("expected the end of the line after {after}, not `{}`", self.rest)))
    }

    /// A `#` that begins a word would not begin a comment.
    pub(super) fn expect_no_comment(&self) -> Result<(), ParseError> {
        let begins_word =
            |at: &usize| self.rest.get(..*at).is_none_or(|before| before.is_empty() || before.ends_with(is_blank));
        match self.rest.match_indices('#').map(|(at, _)| at).find(begins_word) {
            None => Ok(()),
            Some(at) => Err(self.after(at).error(COMMENT_ADVICE)),
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.column, message: message.into() }
    }
}

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
