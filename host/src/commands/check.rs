//! `hassock check`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::CommandError;
use super::print::print_line;
use crate::admin;
use crate::app::HostContext;
use crate::config::{Config, Problems};
use crate::deploy;
use crate::host;

/// Report everything that would keep `serve` from starting, and serve nothing
///
/// Reads the config, loads all modules and connects to all databases. Each problem is a line with file,
/// line number and key. Ends with 0 if there is none, and with 78 otherwise.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hassock check --config /etc/hassock/hassock.toml")]
pub struct CheckArgs {
    /// The config
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
    /// Print the problems as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Find everything that would keep the config from being served.
///
/// # Errors
/// If there is a problem; all are printed before.
pub async fn run(args: CheckArgs) -> Result<(), CommandError> {
    let (config, mut problems) = Config::inspect(&args.config)?;
    if let Some(config) = config {
        problems.0.extend(admin::inspect(&config).0);
        problems.0.extend(host::certificates(&config).err().unwrap_or_default().0);
        problems.0.extend(prepare(&config).await.0);
        problems.0.sort_by_key(|problem| problem.line);
    }
    match (args.json, problems.0.len()) {
        (true, _) => print_line(array(&problems).to_string()),
        (false, 0) => print_line("no problems"),
        (false, _) => print_line(problems.to_string()),
    }
    match problems.0.len() {
        0 => Ok(()),
        count => Err(CommandError::Checked(count)),
    }
}

async fn prepare(config: &Config) -> Problems {
    match deploy::prepare(config, &HostContext::default()).await {
        Ok(prepared) => {
            for database in prepared.databases.into_values() {
                database.close().await;
            }
            Problems::default()
        }
        Err(problems) => problems,
    }
}

/// `[{"file", "line", "key", "message"}]`
fn array(problems: &Problems) -> Value {
    let object = problems.0.iter().map(
        |problem| json!({ "file": problem.file, "line": problem.line, "key": problem.key, "message": problem.message }),
    );
    object.collect()
}
