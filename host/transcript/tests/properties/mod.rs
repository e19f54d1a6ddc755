//! What holds for any text that is read as a transcript: reading never panics, errors are about places that exist,
//! and a transcript that was read can be written and read again.
//!
//! The test of the corpus and the fuzz target in `host/fuzz` share this file.
#![allow(clippy::panic, reason = "this is what a failed test does")]

use hassock_transcript::format::{self, ParseError, Step, Transcript};

/// Check one text.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(text: &str) {
    match format::parse(text) {
        Ok(transcript) => check_round_trip(text, transcript),
        Err(error) => check_place(text, &error),
    }
}

fn check_round_trip(text: &str, transcript: Transcript) {
    check_lines(text, &transcript);
    let written = format::write(&transcript);
    let again = format::parse(&written).unwrap_or_else(|error| panic!("{error}\nin what was written:\n{written}"));
    assert_eq!(without_lines(transcript), without_lines(again), "in what was written:\n{written}");
}

/// Steps follow each other, within the text.
fn check_lines(text: &str, transcript: &Transcript) {
    let mut before = 0;
    for step in &transcript.steps {
        assert!(before < step.line && step.line <= step.last_line, "{step:?} begins after line {before}");
        before = step.last_line;
    }
    assert!(before <= text.lines().count());
}

fn check_place(text: &str, error: &ParseError) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = error.line.checked_sub(1).and_then(|line| text.lines().nth(line));
    let line = line.unwrap_or_else(|| panic!("no such line: {error}"));
    let columns = 1..=line.chars().count() + 1;
    assert!(columns.contains(&error.column), "no such column: {error}\nin: {line}");
    assert!(!error.message.is_empty());
}

/// The same transcript, whatever the lines of its steps are.
fn without_lines(mut transcript: Transcript) -> Transcript {
    let plain = |step: Step| Step { line: 0, last_line: 0, action: step.action };
    transcript.steps = transcript.steps.into_iter().map(plain).collect();
    transcript
}
