//! Sockets: what the host listens on, and the byte stream of one connection.

mod activation;
mod listener;
mod patient;
mod stream;
mod transport;

pub(crate) use activation::note_inherited;
pub use listener::{ListenError, Listener, SocketFile};
pub(crate) use patient::PatientSocket;
pub use stream::Socket;
pub use transport::Transport;
