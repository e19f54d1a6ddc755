//! A recording on its way out of the host: read line by line, with everything left out that must not leave it.
//!
//! What passes comes from [`app::recording`](crate::app); a `Reader` turns it into lines of JSON, and [`Script`] is the
//! other side, which turns lines into a transcript.

mod event;
mod reader;
mod redact;
mod script;
#[cfg(test)]
mod tests;

pub use event::{Asked, EndedBy, Entry, Event, Received, Sent};
pub(crate) use reader::Reader;
pub use script::{Script, Tally};
