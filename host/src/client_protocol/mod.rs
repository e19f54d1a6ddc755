//! The subprotocol `hassock.v1`: what the host and a client of it say to each other beside the messages of the module. The
//! book's page *The client protocol* is the contract.
//!
//! Each message has a header, a line feed, and the payload. The header is empty or a JSON object. A text stays a text, and
//! binary data stay binary data. Modules see the payloads.

mod from_client;
mod offer;
mod position;
mod resume_token;
mod to_client;
mod token;
#[cfg(test)]
mod vectors;

pub(crate) use from_client::{Control, FromClient, NotOfTheProtocol, parse};
pub(crate) use offer::{ClientState, Offer, offered};
pub use position::Position;
pub(crate) use resume_token::ResumeToken;
pub use to_client::{Gap, Member};
pub(crate) use to_client::{ToClient, topic_header};
pub(crate) use token::ClientToken;

/// The name of the subprotocol.
pub(crate) const NAME: &str = "hassock.v1";

/// The header of a message that a module sends to one connection.
pub(crate) const PLAIN: &[u8] = b"\n";
