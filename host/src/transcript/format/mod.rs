//! The format of transcripts. This module depends on no other of the host, so that it can be fuzzed by itself.
//!
//! [`parse()`] reads a file into the [`Transcript`] of `model.rs`, whose comments define the syntax; [`write()`] and
//! [`step`] are its inverse. [`placeholder`] knows what may stand in place of a value.

mod model;
mod names;
mod parse;
pub mod placeholder;
#[cfg(test)]
mod tests;
mod write;

pub use model::{
    Action, CallFault, Cell, Connect, Expected, Fault, Outcome, Payload, Regex, StatementFault, Step, Table,
    TextPattern, Transcript,
};
pub use parse::{ParseError, parse};
pub use write::{step, write};
