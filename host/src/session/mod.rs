//! A connection's life after the handshake: one task, which reads batches, has the module handle them in
//! order, and writes what the outbox holds.

mod close_handshake;
mod rate_limiter;
mod read;
mod run;
mod transport;
mod write;

pub use run::run;
pub use transport::Transport;
