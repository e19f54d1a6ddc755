//! WebSocket frames as a server reads and writes them (RFC 6455, section 5).
//!
//! A [`Decoder`] unmasks frames in the buffer into which they were read, and lends their payloads. An [`Encoded`] message
//! is a frame whose bytes any number of connections share. Neither knows of sockets, so that the bytes can come in any
//! pieces: a test compares the decoder with tungstenite, for the same bytes in other pieces.
//!
//! The close codes and the errors are those of tungstenite.

mod decoder;
mod encoded;
mod header;
mod mask;
mod packed;

pub use decoder::{Decoder, Incoming, Text};
pub use encoded::{Encoded, MAX_CONTROL_PAYLOAD};
pub use packed::{Packed, PackedError, Payload};
