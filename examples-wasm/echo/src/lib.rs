//! Sends every message back, text as text and binary as binary.

use hassock_guest::prelude::*;

struct Echo;

impl Handler for Echo {
    fn start() -> Result<Self> {
        Ok(Self)
    }

    fn message(&self, connection: Connection, message: Message) -> Result<()> {
        connection.send(message)?;
        Ok(())
    }
}

hassock_guest::export!(Echo);

#[cfg(test)]
mod tests;
