//! Transcripts: tests of modules in any language, as text that people read and write.
//!
//! [`format`](mod@format) reads and writes the text. [`play`](mod@play) plays it on a [`Backend`] and
//! [`compare`]s what the clients get with what the text expects. [`bless`] corrects the text. [`report`] and
//! [`diff`](mod@diff) show the result.
//!
//! This crate knows nothing of the host. The host implements [`Backend`] twice: inside one process, and over
//! sockets against a running host.

pub mod backend;
pub mod bless;
pub mod compare;
pub mod diff;
pub mod format;
pub mod play;
pub mod report;
pub mod spoken;
pub mod stable;
mod text;

pub use backend::{Backend, BackendError};
