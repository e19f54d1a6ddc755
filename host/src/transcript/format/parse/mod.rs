//! From text to [`Transcript`].

mod block;
mod clock;
mod connect;
mod cursor;
mod error;
mod fault;
mod json;
mod lines;
mod message;
mod pattern;
mod references;
mod scope;
mod sql;
mod step;
mod table;

use block::{Block, blocks};
pub use error::ParseError;
use scope::Scope;

use super::model::{Step, Transcript};

/// Read a transcript.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &str) -> Result<Transcript, ParseError> {
    let mut transcript = Transcript::default();
    let mut scope = Scope::default();
    for block in blocks(text)? {
        read(&block, &mut transcript, &mut scope)?;
    }
    Ok(transcript)
}

/// Read a block: a setting of the whole file, or a step.
fn read(block: &Block<'_>, transcript: &mut Transcript, scope: &mut Scope) -> Result<(), ParseError> {
    let mut cursor = block.head;
    match cursor.name() {
        Some("seed") => clock::seed(block, cursor, transcript),
        Some("clock") => clock::clock(block, cursor, transcript),
        _ => {
            let action = step::action(block, scope)?;
            transcript.steps.push(Step { line: block.head.line(), last_line: block.last_line(), action });
            Ok(())
        }
    }
}
