//! A connection's life after the handshake: one task, which reads batches, has the module handle them in
//! order, and writes what the outbox holds.

mod batch;
pub mod close;
mod connection;
mod farewell;
mod outbox;
mod pace;
mod run;
pub(crate) mod seat;
mod transport;
mod writer;

pub use connection::{Connection, DueTimer, Opened};
pub use outbox::{Outbox, SendError};
pub use run::run;
pub use seat::Seat;
pub use transport::Transport;
