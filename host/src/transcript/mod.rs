//! Transcripts: tests of modules in any language, as text that people can read.

pub mod format;
pub mod stage;
