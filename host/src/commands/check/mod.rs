//! `hassock check`

mod warnings;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::CommandError;
use super::print::print_line;
use crate::admin;
use crate::api;
use crate::app::HostContext;
use crate::config::{Config, Problem, Problems};
use crate::deploy;
use crate::host;

/// Report everything that would keep `serve` from starting, and serve nothing
///
/// Reads the config, loads all modules and connects to all databases. Each problem is a line with file,
/// line number and key. Ends with 0 if there is none, and with 78 otherwise. What can be served and will hurt, such as a
/// password that others can read, is a warning on standard error.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hassock check --config /etc/hassock/hassock.toml")]
pub struct CheckArgs {
    /// The config
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
    /// Print the problems and warnings as a JSON array, each with `severity`: `error` or `warning`
    #[arg(long)]
    pub json: bool,
}

/// Find everything that would keep the config from being served.
///
/// # Errors
/// If there is a problem; all are printed before.
pub async fn run(args: CheckArgs) -> Result<(), CommandError> {
    let (config, mut problems) = Config::inspect(&args.config)?;
    let mut warnings = Vec::new();
    if let Some(config) = config {
        problems.0.extend(admin::inspect(&config).0);
        problems.0.extend(api::inspect(&config).0);
        problems.0.extend(host::certificates(&config).err().unwrap_or_default().0);
        problems.0.extend(prepare(&config).await.0);
        problems.0.sort_by_key(|problem| problem.line);
        if problems.0.is_empty() {
            warnings = warnings::about(&config);
        }
    }
    match (args.json, problems.0.len()) {
        (true, _) => print_line(array(&problems, &warnings).to_string()),
        (false, 0) => print_line("no problems"),
        (false, _) => print_line(problems.to_string()),
    }
    if !args.json {
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
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

/// `[{"severity", "file", "line", "key", "message"}]`
fn array(problems: &Problems, warnings: &[Problem]) -> Value {
    let object = |severity: &str, problem: &Problem| {
        let Problem { file, line, key, message } = problem;
        json!({ "severity": severity, "file": file, "line": line, "key": key, "message": message })
    };
    let errors = problems.0.iter().map(|problem| object("error", problem));
    errors.chain(warnings.iter().map(|problem| object("warning", problem))).collect()
}
