//! A connection after the handshake: one task reads batches, lets the module handle them in order, and writes the
//! messages in the outbox.

mod alarm;
mod away;
mod calls;
mod close_handshake;
mod link;
mod rate_limiter;
mod read;
mod refresh;
mod run;
mod spoken;
mod write;

pub use run::run;
