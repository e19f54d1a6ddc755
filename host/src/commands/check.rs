//! `hassock check`

use std::path::Path;

use serde_json::json;

use super::CommandError;
use super::print::print_line;
use crate::admin;
use crate::app::HostContext;
use crate::config::{Config, Problems};
use crate::deploy;

/// Find everything that would keep the config from being served.
///
/// # Errors
/// If there is anything; it is printed then.
pub async fn run(file: &Path, print: fn(&Problems)) -> Result<(), CommandError> {
    let (config, mut problems) = Config::inspect(file)?;
    if let Some(config) = config {
        problems.0.extend(admin::inspect(&config).0);
        problems.0.extend(prepare(&config).await.0);
        problems.0.sort_by_key(|problem| problem.line);
    }
    print(&problems);
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

/// A problem a line, or that there is none.
pub fn print_lines(problems: &Problems) {
    match problems.0.is_empty() {
        true => print_line("no problems"),
        false => print_line(problems.to_string()),
    }
}

/// `[{"file", "line", "key", "message"}]`
pub fn print_json(problems: &Problems) {
    let list: Vec<_> = problems
        .0
        .iter()
        .map(|problem| json!({ "file": problem.file, "line": problem.line, "key": problem.key, "message": problem.message }))
        .collect();
    print_line(json!(list).to_string());
}
