//! The commands, one file each, and what they exit with.

pub mod build;
pub mod check;
pub mod dev;
pub mod module;
pub mod new;
mod print;
pub mod record;
pub mod serve;
pub mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::admin::{AdminError, ClientError};
use crate::build::BuildError;
use crate::cli::{Cli, Command};
use crate::config::{Config, ConfigError, Problems};
use crate::host::StartError;

/// The name of the config in an app's folder.
const CONFIG_FILE: &str = "hassock.toml";

/// `EX_CONFIG` of sysexits.h: the user has to mend something before it makes sense to try again.
const EXIT_CONFIG: u8 = 78;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the config refers to, or the address.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Problems that `check` found and has printed.
    #[error("{}", match .0 { 1 => "1 problem".to_owned(), count => format!("{count} problems") })]
    Checked(usize),
    /// A module.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The files cannot be watched.
    #[error("cannot watch {}: {source}", folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: notify::Error,
    },
    /// A running host did not do what it was asked.
    #[error(transparent)]
    Admin(#[from] ClientError),
    /// The component that is to be deployed.
    #[error("cannot read the module {}: {source}; `hassock build DIR` builds one and prints its path", file.display())]
    Module {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A new app.
    #[error(transparent)]
    New(#[from] new::NewError),
    /// Tests.
    #[error(transparent)]
    Tests(#[from] test::TestsError),
    /// The transcript of a recording.
    #[error(transparent)]
    Record(#[from] record::RecordError),
    /// The system refuses something that always works.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl CommandError {
    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::Checked(_)
            | Self::Start(StartError::Problems(_) | StartError::Admin(AdminError::Problem(_)))
            | Self::Admin(ClientError::Config(_)) => EXIT_CONFIG.into(),
            Self::Start(
                StartError::Listen { .. } | StartError::Watch(_) | StartError::Admin(AdminError::Listen { .. }),
            )
            | Self::Build(_)
            | Self::Watch { .. }
            | Self::Admin(_)
            | Self::Module { .. }
            | Self::New(_)
            | Self::Record(_)
            | Self::System(_) => ExitCode::FAILURE,
            Self::Tests(error) => error.exit_code().into(),
        }
    }
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Config(problems.into())
    }
}

/// Run a command to its end.
///
/// # Errors
/// If it failed; the message is for standard error.
pub async fn run(cli: Cli) -> Result<(), CommandError> {
    // Each boxed: they have all of the host in them, and only one of them runs.
    match cli.command {
        Command::Dev { dir, listen } => Box::pin(dev::run(&dir, listen)).await,
        Command::Build { dir, json: false } => Box::pin(build::run(&dir, build::print_lines)).await,
        Command::Build { dir, json: true } => Box::pin(build::run(&dir, build::print_json)).await,
        Command::Serve { config } => Box::pin(serve::run(&config)).await,
        Command::Check { config, json: false } => Box::pin(check::run(&config, check::print_lines)).await,
        Command::Check { config, json: true } => Box::pin(check::run(&config, check::print_json)).await,
        Command::Module { command } => Box::pin(module::run(command)).await,
        Command::Test(args) => Ok(Box::pin(test::run(args)).await?),
        Command::New(args) => new::run(&args),
        Command::Record(arguments) => Box::pin(record::run(arguments)).await,
    }
}

/// The config of an app's folder; the config file itself will do too.
fn app_config(dir: &Path) -> Result<Config, ConfigError> {
    if dir.is_file() { Config::load(dir) } else { Config::load(&dir.join(CONFIG_FILE)) }
}
