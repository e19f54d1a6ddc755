//! `hassock publish`

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;

use super::print::print_line;
use super::{CommandError, RunningHost};
use crate::admin::{Client, MessageKind, NewMessage};
use crate::text::terminal_text;

/// A larger message is more than any host accepts with the settings that are sensible.
const MAX_MESSAGE: u64 = 64 << 20;

/// Publish a message to a topic of an app of a running host
///
/// The message is the content of FILE, or what comes from standard input. One line end at the end of a text is not part of it.
/// Talks to the admin listener of a host on this machine, as `hassock module` does; other programs use the API (`[api]`).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  echo '{\"say\":\"hi\"}' | hassock publish chat room:lobby\n  \
    hassock publish chat news notice.json --id notice-17 --config /etc/hassock/hassock.toml")]
pub struct PublishArgs {
    /// The app's name in the config
    pub app: String,
    /// The topic
    pub topic: String,
    /// The file with the message; standard input without it
    pub file: Option<PathBuf>,
    /// Publish a binary message: all bytes, as they are
    #[arg(long)]
    pub binary: bool,
    /// Name the message within its topic, so that it is published once, even if the command runs again within five minutes
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The host
    #[command(flatten)]
    pub host: RunningHost,
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the message from {}: {source}", file.as_ref().map_or("standard input".into(), |file| file.display().to_string()))]
pub struct NoMessage {
    file: Option<PathBuf>,
    source: io::Error,
}

/// Publish a message.
///
/// # Errors
/// If it cannot be read, or the host cannot be reached or refuses.
pub async fn run(args: PublishArgs) -> Result<(), CommandError> {
    let client = Client::of_config(&args.host.config)?;
    let mut message = read(args.file.as_deref()).map_err(|source| NoMessage { file: args.file.clone(), source })?;
    let kind = if args.binary { MessageKind::Binary } else { MessageKind::Text };
    if kind == MessageKind::Text {
        without_line_end(&mut message);
    }
    let message = NewMessage { topic: &args.topic, kind, id: args.id.as_deref(), bytes: message.into() };
    let published = client.publish(&args.app, message).await?;
    match args.host.json {
        true => print_line(serde_json::json!(published).to_string()),
        false => {
            let plural = if published.reached == 1 { "" } else { "s" };
            let topic = terminal_text(&published.topic);
            let position = published.position.map(|position| format!(", at {position}")).unwrap_or_default();
            let before = if published.duplicate { " before" } else { "" };
            let reached = published.reached;
            print_line(format!("published{before} to {topic}: {reached} connection{plural} reached{position}"));
        }
    }
    Ok(())
}

fn read(file: Option<&std::path::Path>) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    match file {
        Some(file) => File::open(file)?.take(MAX_MESSAGE).read_to_end(&mut message)?,
        None => io::stdin().lock().take(MAX_MESSAGE).read_to_end(&mut message)?,
    };
    match message.len() as u64 == MAX_MESSAGE {
        true => Err(io::Error::other("it has 64 MiB or more")),
        false => Ok(message),
    }
}

/// `echo` and editors add one that nobody means.
fn without_line_end(message: &mut Vec<u8>) {
    if message.ends_with(b"\n") {
        message.pop();
        if message.ends_with(b"\r") {
            message.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off() {
        for (message, expected) in
            [("hi\n", "hi"), ("hi\r\n", "hi"), ("hi\n\n", "hi\n"), ("hi", "hi"), ("\n", ""), ("", ""), ("hi\r", "hi\r")]
        {
            let mut bytes = message.as_bytes().to_vec();
            without_line_end(&mut bytes);
            assert_eq!(bytes, expected.as_bytes(), "{message:?}");
        }
    }
}
