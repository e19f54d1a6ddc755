//! WebSocket frames as a server reads and writes them (RFC 6455, section 5).
//!
//! A [`Decoder`] unmasks frames in the buffer into which they were read, and lends their payloads. An [`Encoded`] message
//! is a frame whose bytes any number of connections share. Neither knows of sockets, so that the bytes can come in any
//! pieces: a test compares the decoder with tungstenite, for the same bytes in other pieces.
//!
//! Messages may be compressed (`permessage-deflate`, RFC 7692), if that was [negotiated](negotiate). Nothing of a message is
//! kept for the next one, in either direction.
//!
//! The close codes and the errors are those of tungstenite.

mod control;
mod decoder;
mod deflate;
mod encoded;
mod envelope;
mod fragments;
mod header;
mod inflate;
mod mask;
mod negotiation;
mod packed;

pub use decoder::{Compression, DecodeError, Decoder, Incoming, Text};
pub use deflate::{Deflate, Window};
pub use encoded::{Encoded, MAX_CONTROL_PAYLOAD};
pub use envelope::MAX_HEADER;
pub use negotiation::{Agreement, negotiate};
pub use packed::{Packed, PackedError, Payload};
