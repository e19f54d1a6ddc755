//! The demo of the article "Integrating WebSocket to Joomla!" (2012): a handler that answers commands.

use hassock_guest::prelude::*;

struct Commands;

impl Handler for Commands {
    fn start() -> Result<Self> {
        Ok(Self)
    }

    fn message(&self, connection: Connection, message: Message) -> Result<()> {
        connection.send(answer(&message))?;
        Ok(())
    }
}

fn answer(message: &Message) -> String {
    match message.as_text().map(str::trim) {
        Some("test") => "This is a test!".into(),
        Some("version") => hassock_guest::host_version(),
        _ => "Command not found".into(),
    }
}

hassock_guest::export!(Commands);

#[cfg(test)]
mod tests;
