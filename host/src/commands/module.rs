//! `hassock module`: show and change what a running host serves.

mod messages;
mod table;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::print::{self, print_line};
use super::{CommandError, RunningHost};
use crate::admin::{Client, ClientError};
use crate::app::versions::{AppReport, Outcome};
use crate::config::{Share, Size};
use crate::deploy::{DeployError, Pin, Rollout};
use crate::text::terminal_text;

/// See and change which versions the apps of a running host serve
///
/// Talks to the admin listener of a host on this machine: its config needs a table `[admin]`, and the
/// token file must be readable. Changes last until the host ends; after that, the modules' files count again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hassock module list --config /etc/hassock/hassock.toml")]
pub struct ModuleArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ModuleCommand,
}

/// The commands about the modules of a running host.
#[derive(Debug, Subcommand)]
pub enum ModuleCommand {
    /// Show the versions of each app: their connections, calls and failures, and how long a call takes
    ///
    /// States: `serving` gets new connections, `canary` a share of them, `draining` none but has some left,
    /// `kept` stays ready for a rollback, `rolled back` failed or was taken back.
    List {
        /// Only this app
        app: Option<String>,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Give a new version to an app, after the host has compiled and checked it
    ///
    /// Open connections stay open. A module that does not compile, needs what the config does not grant,
    /// or fails its own check never gets traffic: the running version goes on, and this command ends with 1. Once
    /// the module is sent, the deploy is finished even if this command is interrupted.
    #[command(after_help = "Examples:\n  hassock module deploy chat chat.wasm\n  \
        hassock module deploy chat chat.wasm --canary 10%")]
    Deploy {
        /// The app's name in the config
        app: String,
        /// The component, as `hassock build` writes it
        file: PathBuf,
        /// Give it to this share of connections only; `promote` gives it to all, `rollback` to none
        #[arg(long, value_name = "SHARE")]
        canary: Option<Share>,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Give the canary of an app to all connections
    Promote {
        /// The app's name in the config
        app: String,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Take back the canary of an app; without a canary, go back to the version before
    ///
    /// Compiles nothing: the version before was kept ready.
    Rollback {
        /// The app's name in the config
        app: String,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Keep the open connections of an app on their version while others are deployed
    ///
    /// For as long as the config's `pin_for` says, or `--for`. New connections get the new version.
    #[command(after_help = "Examples:\n  hassock module pin chat --for 10m\n  hassock module pin chat --off")]
    Pin {
        /// The app's name in the config
        app: String,
        /// For how long a connection stays on its version, such as 30s, 10m or 2h
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "off")]
        pin_for: Option<Duration>,
        /// Pin no longer: a deploy moves open connections to the new version
        #[arg(long)]
        off: bool,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
}

/// Send a request to a running host, and print its response.
///
/// # Errors
/// If the host cannot be reached or refuses.
pub async fn run(args: ModuleArgs) -> Result<(), CommandError> {
    match args.command {
        ModuleCommand::List { app, host } => {
            let reports = list(&Client::of_config(&host.config)?, app.as_deref()).await?;
            print(&host, &reports, |reports| table::apps(reports));
        }
        ModuleCommand::Deploy { app, file, canary, host } => {
            let outcome = deploy(&Client::of_config(&host.config)?, &app, &file, canary).await?;
            print(&host, &outcome, messages::deployed);
        }
        ModuleCommand::Promote { app, host } => {
            let outcome = Client::of_config(&host.config)?.promote(&app).await?;
            print(&host, &outcome, messages::deployed);
        }
        ModuleCommand::Rollback { app, host } => {
            let outcome = Client::of_config(&host.config)?.rollback(&app).await?;
            print(&host, &outcome, messages::rolled_back);
        }
        ModuleCommand::Pin { app, pin_for, off, host } => {
            let pin = match (pin_for, off) {
                (Some(span), _) => Pin::For(span),
                (None, true) => Pin::Off,
                (None, false) => Pin::Default,
            };
            let outcome = Client::of_config(&host.config)?.pin(&app, pin).await?;
            print(&host, &outcome, messages::pinned);
        }
    }
    Ok(())
}

/// All apps, or the one that the request names.
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

/// Deploy. Says on standard error what it is doing, because it takes time.
async fn deploy(client: &Client, app: &str, file: &Path, canary: Option<Share>) -> Result<Outcome, CommandError> {
    eprintln!("Reading {} …", file.display());
    let module = fs::read(file).map_err(|source| CommandError::Module { file: file.to_owned(), source })?;
    // First, so that no module is sent to a host that does not run or does not have the app.
    list(client, Some(app)).await?;
    eprintln!("Sending {} to {}; compiling and checking …", Size::from(module.len()), client.address());
    Ok(client.deploy(app, module, canary.map_or(Rollout::Full, Rollout::Canary)).await?)
}

fn print<T: Serialize>(host: &RunningHost, response: &T, message: impl Fn(&T) -> String) {
    match host.json {
        true => print_line(serde_json::json!(response).to_string()),
        false => print::print(message(response)),
    }
}
