//! Transcripts: tests of modules in any language, as text that people can read.
//!
//! [`format`](mod@format) reads and writes the text, [`play`] plays it on a [`stage`] and [`compare`]s what comes
//! with what was expected, [`bless`] corrects the text, and [`report`], [`diff`] and [`junit`] tell how it went.

pub mod bless;
pub mod compare;
pub mod diff;
pub mod format;
pub mod junit;
pub mod lasting;
pub mod play;
pub mod report;
pub mod stage;
