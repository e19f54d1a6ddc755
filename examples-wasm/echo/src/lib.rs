//! Sends every message back, text as text and binary as binary.

use hassock_sdk::prelude::*;

#[derive(Default)]
struct Echo;

impl Handler for Echo {
    type Message<'a> = MessageRef<'a>;

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        connection.send(message)
    }
}

hassock_sdk::export!(Echo);

#[cfg(test)]
mod tests;
