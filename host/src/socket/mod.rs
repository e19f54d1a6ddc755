//! Sockets: what the host listens on, and the byte stream of one connection.

mod activation;
mod listener;
mod stream;

pub(crate) use activation::prepare;
pub use listener::{ListenError, Listener, SocketFile};
pub use stream::Socket;
