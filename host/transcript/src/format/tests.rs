//! Texts of transcripts, and how they are parsed.

mod errors;
mod headers;
mod messages;
mod steps;
mod writing;

use super::{Action, ParseError, Transcript, parse};

/// A client that has connected, on two lines.
const ALICE: &str = "seed 1\nconnect alice /chat\n";

fn read(text: &str) -> Transcript {
    parse(text).unwrap_or_else(|error| panic!("{error}\nin:\n{text}"))
}

/// The last step of a text.
fn last(text: &str) -> Action {
    read(text).steps.pop().expect("a step").action
}

/// The last step, after `alice` has connected.
fn of_alice(step: &str) -> Action {
    last(&format!("{ALICE}{step}"))
}

/// `LINE:COLUMN: message`
fn error(text: &str) -> String {
    parse(text).map_err(|error: ParseError| error.to_string()).expect_err("an error")
}

fn regex(source: &str) -> super::Regex {
    super::Regex(regex::Regex::new(source).expect("a regular expression"))
}
