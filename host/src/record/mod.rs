//! A recording on its way out of the host: redacted and read line by line.
//!
//! The traffic comes from [`app::recording`](crate::app). A `Reader` redacts it and turns it into lines of JSON, which
//! `hassock record` turns into a transcript.

mod event;
mod reader;
mod redact;
mod speakers;
#[cfg(test)]
mod tests;

pub use event::{EndedBy, Entry, Event, Received, RecordedRequest, Sent};
pub(crate) use reader::Reader;
