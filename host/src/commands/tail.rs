//! `hassock tail`

use std::io::{self, Write};

use clap::Args;

use super::{CommandError, RunningHost};
use crate::admin::{Client, TailLine, TailedContent, TailedMessage};
use crate::shutdown::Signals;
use crate::text::{one_line, terminal_text};

/// Print each message that is published to a topic of an app of a running host, a line each
///
/// From now on, until Ctrl-C. Line ends and other control characters in a message are escaped, and binary messages are in
/// base64. Messages that are published by two calls at the same moment may be printed in another order than clients get them. It is
/// not a subscriber, and no publish waits for it: if it is read more slowly than messages come, it ends with 1. Talks to the admin
/// listener of a host on this machine, as `hassock module` does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hassock tail chat room:lobby\n  \
    hassock tail chat room:lobby --json | jq -r .text")]
pub struct TailArgs {
    /// The app's name in the config
    pub app: String,
    /// The topic
    pub topic: String,
    /// The host
    #[command(flatten)]
    pub host: RunningHost,
}

/// Why a tail ended before its time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TooSlow(String);

/// Print messages until Ctrl-C.
///
/// # Errors
/// If the host cannot be reached or refuses, or the lines are not read in time.
pub async fn run(args: TailArgs) -> Result<(), CommandError> {
    let mut signals = Signals::catch()?;
    let client = Client::of_config(&args.host.config)?;
    let mut lines = tokio::select! {
        lines = client.tail(&args.app, &args.topic) => lines?,
        _ = signals.next() => return Ok(()),
    };
    loop {
        let line = tokio::select! {
            biased;
            // A terminal that is closed ends it too.
            _ = signals.next() => return Ok(()),
            line = lines.next() => line?,
        };
        match line {
            TailLine::Began => say(&format!("{} of {}; Ctrl-C ends", args.topic, args.app)),
            TailLine::Message(message) if print(&args, &message).is_err() => return Ok(()),
            TailLine::Message(_) => {}
            TailLine::Ended { why } => {
                say(&why);
                return Ok(());
            }
            TailLine::TooSlow { error } => return Err(TooSlow(terminal_text(&error).into_owned()).into()),
        }
    }
}

/// Tell the user something that is not a message.
fn say(text: &str) {
    eprintln!("tail: {}", terminal_text(text));
}

/// Print a message. If the reader has closed its end, as `head` does when it has seen enough, there is nothing more to do.
fn print(args: &TailArgs, message: &TailedMessage) -> io::Result<()> {
    let line = match (args.host.json, &message.content) {
        (true, _) => serde_json::json!(message).to_string(),
        (false, TailedContent::Text(text)) => one_line(text).into_owned(),
        (false, TailedContent::Base64(base64)) => format!("base64: {base64}"),
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
