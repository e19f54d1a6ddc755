//! `hassock config`

use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::print::print_line;
use crate::config::{Config, Entry};
use crate::text::terminal_text;

/// What stands for the value of a key that is absent.
const ABSENT: &str = "–";

/// Print the config that is in effect: each key with its value, and the line that it comes from
///
/// Passwords and secrets are hidden, and variables are shown with their names. Ends with 78 if the config is wrong.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hassock config --config /etc/hassock/hassock.toml\n  \
    hassock config | grep limits\n  hassock config --json")]
pub struct ConfigArgs {
    /// The config
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
    /// Print a JSON array of objects with `key`, `value` and `line`
    #[arg(long)]
    pub json: bool,
}

/// Print the config that is in effect.
///
/// # Errors
/// If it is wrong; all problems are named.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let entries = Config::load(&args.config)?.entries()?;
    match args.json {
        true => print_line(serde_json::json!(entries).to_string()),
        false => print_line(table(&entries).trim_end()),
    }
    Ok(())
}

fn table(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.key.chars().count()).max().unwrap_or(0);
    let row = |entry: &Entry| {
        let value = entry.value.as_deref().unwrap_or(ABSENT);
        let source = entry.line.map_or("default".to_owned(), |line| format!("line {line}"));
        format!("{:<width$}  {value}  ({source})\n", entry.key)
    };
    entries.iter().map(row).map(|row| format!("{}\n", terminal_text(row.trim_end()))).collect()
}
