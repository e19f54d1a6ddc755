//! The demo of the article "Integrating WebSocket to Joomla!" (2012): a handler that answers commands.

use hassock_sdk::prelude::*;

#[derive(Default)]
struct Commands;

impl Handler for Commands {
    type Message<'a> = MessageRef<'a>;

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        match message.as_text().map(str::trim) {
            Some("test") => connection.send("This is a test!"),
            Some("version") => connection.send(hassock_sdk::host_version()),
            _ => connection.send("Command not found"),
        }
    }
}

hassock_sdk::export!(Commands);

#[cfg(test)]
mod tests;
