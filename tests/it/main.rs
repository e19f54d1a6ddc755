//! Through the real door: a real host, real sockets, real databases, a real browser. The folders mirror those of
//! the host's source.

// The futures of tests are nested deeply: an optimised build computes their layout beyond the default limit.
#![recursion_limit = "256"]

mod admin;
mod app;
mod commands;
mod database;
mod deploy;
mod examples;
mod handshake;
mod module;
mod record;
mod session;
mod testkit;
mod transcripts;
