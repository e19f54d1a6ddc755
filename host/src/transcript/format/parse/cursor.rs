//! A place within a line, which moves to its end.

use super::super::names::{begins_name, in_name, is_blank};
use super::ParseError;

/// For whoever writes a comment behind a step.
pub(super) const COMMENT_ADVICE: &str = "a comment has a line of its own";

/// The rest of a line, and where it begins. Copies are bookmarks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    line: usize,
    column: usize,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a line. White space at its end is of no meaning, because nobody sees it.
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
