//! `hassock outbox`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CommandError;
use super::print::print_line;
use crate::config::{Config, DatabaseConfig};
use crate::database::{Database, OpenError, OutboxOrder, outbox_script};

/// The table into which programs insert what the host publishes
#[derive(Debug, Args)]
pub struct OutboxArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: OutboxCommand,
}

/// What can be done with an outbox.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// Create the table `hassock_outbox`, and what keeps its order
    ///
    /// Creates what is missing, and leaves alone what is there. On MySQL and MariaDB this includes a trigger, because of which
    /// transactions that publish to the same topic wait for each other: only so are messages published in the order in
    /// which they were committed. Uses the user of the database's `url`, who needs the rights CREATE, TRIGGER, INSERT, SELECT and
    /// UPDATE; with `--print`, an administrator can do it instead.
    #[command(after_help = "Examples:\n  hassock outbox init --config /etc/hassock/hassock.toml\n  \
        hassock outbox init main\n  hassock outbox init --print | mariadb -u root -p shop")]
    Init(InitArgs),
}

/// Which outbox is made, and how.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The name of the database in the config; without it, all that have `[databases.NAME.outbox]`
    pub database: Option<String>,
    /// The config
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
    /// Print the statements, and run none
    #[arg(long)]
    pub print: bool,
    /// Leave out the trigger: for a server that does not allow it, or transactions that publish to many topics and would
    /// wait for each other in a circle
    #[arg(long)]
    pub without_order: bool,
}

/// Why an outbox cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The config has no such database.
    #[error("the config has no database `{name}`; it has {}", names(known))]
    UnknownDatabase {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No database of the config has an outbox, and none is named.
    #[error("no database of the config has an outbox; add `[databases.NAME.outbox]` to the config, or name a database")]
    NoOutbox,
    /// The database.
    #[error(transparent)]
    Database(#[from] OpenError),
}

/// Make outboxes.
///
/// # Errors
/// If the config is wrong, or a database refuses it.
pub async fn run(args: OutboxArgs) -> Result<(), CommandError> {
    let OutboxCommand::Init(args) = args.command;
    let config = Config::load(&args.config)?;
    let order = if args.without_order { OutboxOrder::Loose } else { OutboxOrder::Commits };
    for (name, database) in chosen(&config, args.database.as_deref())? {
        match args.print {
            true => print_line(outbox_script(database.is_sqlite(), order).trim_end()),
            false => create(&config, name, database, order).await?,
        }
    }
    Ok(())
}

async fn create(config: &Config, name: &str, database: &DatabaseConfig, order: OutboxOrder) -> Result<(), OutboxError> {
    let steps = Database::create_outbox(name, database, config.locator.folder(), order).await?;
    steps.into_iter().for_each(|step| print_line(format!("database `{name}`: {step}")));
    if database.outbox.is_none() {
        print_line(format!(
            "database `{name}`: add `[databases.{name}.outbox]` to the config, so that its rows are published"
        ));
    }
    Ok(())
}

fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Result<Vec<(&'a String, &'a DatabaseConfig)>, OutboxError> {
    let all = config.databases.iter();
    let Some(wanted) = name else {
        let those: Vec<_> = all.filter(|(_, database)| database.outbox.is_some()).collect();
        return if those.is_empty() { Err(OutboxError::NoOutbox) } else { Ok(those) };
    };
    let unknown =
        || OutboxError::UnknownDatabase { name: wanted.to_owned(), known: config.databases.keys().cloned().collect() };
    config.databases.get_key_value(wanted).map(|found| vec![found]).ok_or_else(unknown)
}

fn names(known: &[String]) -> String {
    match known {
        [] => "none".to_owned(),
        known => known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
