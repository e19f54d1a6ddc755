//! What a topic says to one client of the protocol.

use super::topic::Subscription;
use crate::app::connection::{Connection, SendError};
use crate::client_protocol::{Gap, Position, ToClient};

/// Tell a client of the protocol that it has everything up to a position.
pub(super) fn say_position(topic: &str, connection: &Connection, position: Position) -> Result<(), SendError> {
    match connection.speaks() {
        true => connection.outbox.push_spoken(ToClient::Position { topic, position }.encoded()),
        false => Ok(()),
    }
}

/// Tell a client of the protocol how its subscription begins.
pub(super) fn say_subscribed(
    topic: &str,
    connection: &Connection,
    subscription: Subscription,
    was_recovering: bool,
    request: Option<u64>,
) {
    if !connection.speaks() {
        return;
    }
    let Subscription { position, gap } = subscription;
    let recovered = was_recovering && gap.is_none();
    let subscribed = ToClient::Subscribed { topic, request, position, was_recovering, recovered, gap };
    connection.outbox.push_spoken(subscribed.encoded()).unwrap_or_else(|error| connection.outbox.fail(error));
}

/// Tell a subscriber that messages are missing. One that cannot be told is closed. False if it is.
pub(super) fn say_gap(topic: &str, connection: &Connection, gap: Gap) -> bool {
    let said = match connection.speaks() {
        true => connection.outbox.push_spoken(ToClient::Gap { topic, gap }.encoded()),
        false => Err(SendError::Full),
    };
    said.map_err(|error| connection.outbox.fail(error)).is_ok()
}
