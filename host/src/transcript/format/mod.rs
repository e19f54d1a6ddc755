//! The format of transcripts. This module depends on no other of the host, so that it can be fuzzed by itself.

mod model;
mod write;

pub use model::{
    Action, CallFault, Cell, Connect, Expected, Fault, Outcome, Payload, Regex, StatementFault, Step, Table,
    TextPattern, Transcript,
};
pub use write::step;
