//! `hassock module`: what an operator sees of a running host, and asks of it.

mod table;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::CommandError;
use super::print::{self, print_line};
use crate::admin::{Client, ClientError};
use crate::app::versions::{AppReport, Outcome};
use crate::cli::{ModuleCommand, RunningHost};
use crate::config::{Share, Size};
use crate::deploy::{DeployError, Pin, Rollout};
use crate::text::terminal_text;

/// Ask a running host, and print what it says.
///
/// # Errors
/// If there is none, or it refuses.
pub async fn run(command: ModuleCommand) -> Result<(), CommandError> {
    match command {
        ModuleCommand::List { app, host } => {
            let reports = list(&Client::of_config(&host.config)?, app.as_deref()).await?;
            print(&host, &reports, |reports| table::apps(reports));
        }
        ModuleCommand::Deploy { app, file, canary, host } => {
            let outcome = deploy(&Client::of_config(&host.config)?, &app, &file, canary).await?;
            print(&host, &outcome, words::deployed);
        }
        ModuleCommand::Promote { app, host } => {
            let outcome = Client::of_config(&host.config)?.promote(&app).await?;
            print(&host, &outcome, words::deployed);
        }
        ModuleCommand::Rollback { app, host } => {
            let outcome = Client::of_config(&host.config)?.rollback(&app).await?;
            print(&host, &outcome, words::rolled_back);
        }
        ModuleCommand::Pin { app, pin_for, off, host } => {
            let pin = match (pin_for, off) {
                (Some(span), _) => Pin::For(span),
                (None, true) => Pin::Off,
                (None, false) => Pin::Default,
            };
            let outcome = Client::of_config(&host.config)?.pin(&app, pin).await?;
            print(&host, &outcome, words::pinned);
        }
    }
    Ok(())
}

/// All apps, or the one that is asked for.
async fn list(client: &Client, app: Option<&str>) -> Result<Vec<AppReport>, ClientError> {
    let reports = client.apps().await?;
    let Some(app) = app else { return Ok(reports) };
    match reports.iter().find(|report| report.app == app) {
        Some(report) => Ok(vec![report.clone()]),
        None => {
            let known = reports.into_iter().map(|report| report.app).collect();
            let error = DeployError::UnknownApp { app: app.to_owned(), known };
            Err(ClientError::Refused {
                kind: "unknown-app".to_owned(),
                message: terminal_text(&error.to_string()).into_owned(),
            })
        }
    }
}

/// Says on standard error what takes its time.
async fn deploy(client: &Client, app: &str, file: &Path, canary: Option<Share>) -> Result<Outcome, CommandError> {
    eprintln!("Reading {} …", file.display());
    let module = fs::read(file).map_err(|source| CommandError::Module { file: file.to_owned(), source })?;
    // Asked first, so that no module is sent to a host that is not there or does not know the app.
    list(client, Some(app)).await?;
    eprintln!("Sending {} to {}; compiling and checking …", Size::from(module.len()), client.address());
    Ok(client.deploy(app, module, canary.map_or(Rollout::Full, Rollout::Canary)).await?)
}

fn print<T: Serialize>(host: &RunningHost, answer: &T, words: impl Fn(&T) -> String) {
    match host.json {
        true => print_line(serde_json::json!(answer).to_string()),
        false => print::print(words(answer)),
    }
}
