//! The format of transcripts.
//!
//! [`parse()`] reads a file into the [`Transcript`] of `model.rs`, whose comments define the syntax; [`write()`] and
//! [`step`] are its inverse. [`placeholder`] defines what may stand in place of a value.

mod header;
mod model;
mod names;
mod parse;
pub mod placeholder;
#[cfg(test)]
mod tests;
mod write;

pub use header::{Header, Heard, Publish, Reconnect, Recovery, Said, Start};
pub use model::{
    Action, Cell, ConnectStep, Expected, Fault, Outcome, Payload, Regex, Step, Table, TextPattern, Transcript,
};
pub use parse::{ParseError, parse};
pub use write::{heard, step, write};
