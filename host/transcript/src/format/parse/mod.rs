//! From text to [`Transcript`].

mod cursor;
mod detail;
mod header;
mod message;
mod step;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use super::model::{Step, Transcript};
use super::names::{did_you_mean, is_blank, one_of};
use super::placeholder::{LITERAL_ADVICE, kind_in_text, split, unescaped};
use cursor::Cursor;

/// What begins only lines that belong to the step before: rows, details of connections, JSON.
const CONTINUATIONS: [char; 6] = ['|', '@', '<', '}', ']', '"'];

/// Why a text is not a transcript. `Display` leaves the file out: `LINE:COLUMN: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1; one more than the length of the line if something is missing at
    /// its end.
    pub column: usize,
    /// What is wrong, and what would be accepted there.
    pub message: String,
}

/// Read a transcript.
///
/// # Errors
/// The first mistake.
pub fn parse(text: &str) -> Result<Transcript, ParseError> {
    let mut transcript = Transcript::default();
    let mut scope = Scope::default();
    for block in blocks(text)? {
        read(&block, &mut transcript, &mut scope)?;
    }
    Ok(transcript)
}

impl ParseError {
    /// `FILE:LINE:COLUMN: message`, which editors and terminals turn into a link.
    #[must_use]
    pub fn in_file(&self, file: &Path) -> String {
        format!("{}:{self}", file.display())
    }
}

/// Read a block: a setting of the whole file, or a step.
fn read(block: &Block<'_>, transcript: &mut Transcript, scope: &mut Scope) -> Result<(), ParseError> {
    let mut cursor = block.head;
    match cursor.name() {
        Some("seed") => step::seed(block, cursor, transcript),
        Some("clock") => step::clock(block, cursor, transcript),
        _ => {
            let action = step::action(block, scope)?;
            transcript.steps.push(Step { line: block.head.line(), last_line: block.last_line(), action });
            Ok(())
        }
    }
}

/// A step's lines: the line that begins it and the indented lines below, without comments and blank lines.
#[derive(Debug)]
struct Block<'a> {
    head: Cursor<'a>,
    /// The lines below, with their indentation.
    more: Vec<Cursor<'a>>,
}

impl Block<'_> {
    fn last_line(&self) -> usize {
        self.more.last().unwrap_or(&self.head).line()
    }

    /// Refuse lines below, which would have no meaning.
    fn expect_one_line(&self, step: &str) -> Result<(), ParseError> {
        let Some(mut line) = self.more.first().copied() else { return Ok(()) };
        line.skip_blanks();
        Err(line.error(format!("{step} takes no further lines; a step of its own begins at the line's first column")))
    }
}

/// The blocks of a text.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, ParseError> {
    // Some editors begin a file with an invisible byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = Cursor::new(number + 1, line);
        let content = line.rest().trim_start_matches(is_blank);
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if !line.rest().starts_with(is_blank) {
            if !blocks.is_empty() && content.starts_with(CONTINUATIONS) {
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

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// The messages of the module, and nothing else.
    Plain,
    /// `hassock.v1`
    Protocol,
}

/// The names that steps may use.
#[derive(Debug, Default)]
struct Scope {
    clients: BTreeSet<String>,
    /// Those that speak `hassock.v1`.
    speaking: BTreeSet<String>,
    captured: BTreeSet<String>,
}

impl Scope {
    fn connect(&mut self, client: &str, speech: Speech) {
        self.clients.insert(client.to_owned());
        match speech {
            Speech::Plain => drop(self.speaking.remove(client)),
            Speech::Protocol => drop(self.speaking.insert(client.to_owned())),
        }
    }

    fn speech(&self, client: &str) -> Speech {
        if self.speaking.contains(client) { Speech::Protocol } else { Speech::Plain }
    }

    fn knows_client(&self, client: &str) -> bool {
        self.clients.contains(client)
    }

    /// Only clients that were accepted can be used.
    fn expect_client(&self, client: &str, place: Cursor<'_>) -> Result<(), ParseError> {
        if self.knows_client(client) {
            return Ok(());
        }
        let known = match self.clients.is_empty() {
            true => "no client has connected so far".to_owned(),
            false => format!("known here: {}", one_of(self.clients.iter().map(String::as_str))),
        };
        let near = did_you_mean(client, self.clients.iter().map(String::as_str));
        Err(place.error(format!("`{client}` has not connected; `connect {client} /PATH` comes first ({known}){near}")))
    }

    fn capture(&mut self, name: String) {
        self.captured.insert(name);
    }

    /// What is wrong with a `${NAME}`: it can use only what an *earlier* step has captured. `advice`, and `others`
    /// that may have been meant, depend on where it stands.
    fn check_captured(&self, name: &str, advice: &str, others: &[&str]) -> Result<(), String> {
        if self.captured.contains(name) {
            return Ok(());
        }
        let known = match self.captured.is_empty() {
            true => String::new(),
            false => format!(" (captured so far: {})", one_of(self.captured.iter().map(String::as_str))),
        };
        let near = did_you_mean(name, self.captured.iter().map(String::as_str).chain(others.iter().copied()));
        Err(format!("no earlier step has captured `{name}`{known}; {advice}{near}"))
    }

    /// What is wrong with the first wrong `${…}` of a text, and its byte.
    fn check_text(&self, text: &str) -> Result<(), (usize, String)> {
        self.check_each(text, |_| None)
    }

    /// The same for a text that is expected, where the author may have written a kind of values.
    fn check_expected(&self, text: &str) -> Result<(), (usize, String)> {
        self.check_each(text, kind_in_text)
    }

    /// The same for the rest of a line.
    fn check_rest(&self, cursor: Cursor<'_>) -> Result<(), ParseError> {
        self.check_text(cursor.rest()).map_err(|(byte, message)| cursor.after(byte).error(message))
    }

    fn check_each(&self, text: &str, kind: impl Fn(&str) -> Option<String>) -> Result<(), (usize, String)> {
        let mut rest = text;
        loop {
            let start = text.len() - rest.len();
            let wrong = |message| (start + unescaped(rest).unwrap_or_default(), message);
            kind(rest).map_or(Ok(()), |message| Err(wrong(message)))?;
            let Some((_, name, after)) = split(rest).map_err(wrong)? else { return Ok(()) };
            self.check_captured(name, LITERAL_ADVICE, &[]).map_err(wrong)?;
            rest = after;
        }
    }
}
