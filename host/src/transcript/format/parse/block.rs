//! A step's lines: the one that begins it, and those indented below.

use super::super::names::is_blank;
use super::ParseError;
use super::cursor::Cursor;

/// What begins only lines that belong to the step before: rows, details of connections, JSON.
const OF_MORE: [char; 6] = ['|', '@', '<', '}', ']', '"'];

/// A line and the indented ones below it. Comments and empty lines are left out.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) head: Cursor<'a>,
    /// With their indentation.
    pub(super) more: Vec<Cursor<'a>>,
}

impl Block<'_> {
    pub(super) fn last_line(&self) -> usize {
        self.more.last().unwrap_or(&self.head).line()
    }

    /// Lines below would be of no meaning.
    pub(super) fn expect_one_line(&self, step: &str) -> Result<(), ParseError> {
        let Some(mut line) = self.more.first().copied() else { return Ok(()) };
        line.skip_blanks();
        Err(line.error(format!("{step} takes no further lines; a step of its own begins at the line's first column")))
    }
}

/// The blocks of a text.
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, ParseError> {
    // Some editors begin a file with a mark that nobody sees.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = Cursor::new(number + 1, line);
        let content = line.rest().trim_start_matches(is_blank);
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if !line.rest().starts_with(is_blank) {
            if !blocks.is_empty() && content.starts_with(OF_MORE) {
                return Err(line.error("indent it: it belongs to the step before"));
            }
            blocks.push(Block { head: line, more: Vec::new() });
            continue;
        }
        let block = blocks.last_mut().ok_or_else(|| {
            line.error("an indented line belongs to the step before it, and there is none; remove the indentation")
        })?;
        block.more.push(line);
    }
    Ok(blocks)
}
