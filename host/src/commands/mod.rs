//! The commands, one file each with its arguments and what it does, and the exit codes.

pub mod build;
pub mod check;
pub mod config;
pub mod dev;
pub mod generate;
pub mod module;
pub mod new;
pub mod outbox;
mod print;
pub mod publish;
pub mod record;
mod running_host;
pub mod serve;
pub mod tail;
pub mod test;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::admin::{AdminError, ClientError};
use crate::api::ApiStartError;
use crate::build::BuildError;
use crate::config::{Config, ConfigError, Problems};
use crate::host::StartError;
use crate::socket::ListenError;

pub use running_host::RunningHost;

/// The name of the config in an app's folder.
const CONFIG_FILE: &str = "hassock.toml";

/// `EX_CONFIG` of sysexits.h: the user has to correct something before another attempt can succeed.
const EXIT_CONFIG: u8 = 78;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder has no config.
    #[error("{}: cannot read the config: {source}; {}", file.display(), instead(command, near))]
    NoApp {
        /// The command that needs one.
        command: &'static str,
        /// The config that was looked for.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
        /// Apps in the folder.
        near: Vec<PathBuf>,
    },
    /// The address of `dev` cannot be listened on.
    #[error(
        "{0}; choose another address with `--listen`, such as `--listen localhost:9000`, or `--listen localhost:0` for any \
         free port"
    )]
    Listen(ListenError),
    /// What the config refers to, or the address.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Problems that `check` has found and printed.
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
        source: io::Error,
    },
    /// A running host refused a request, or cannot be reached.
    #[error(transparent)]
    Admin(#[from] ClientError),
    /// The component to deploy cannot be read.
    #[error("cannot read the module {}: {source}; `hassock build DIR` builds one and prints its path", file.display())]
    Module {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The message to publish.
    #[error(transparent)]
    Publish(#[from] publish::NoMessage),
    /// A tail.
    #[error(transparent)]
    Tail(#[from] tail::TooSlow),
    /// A new app.
    #[error(transparent)]
    New(#[from] new::NewError),
    /// Tests.
    #[error(transparent)]
    Tests(#[from] test::TestsError),
    /// The man pages.
    #[error("cannot write man pages into {}: {source}", dir.display())]
    Man {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An outbox.
    #[error(transparent)]
    Outbox(#[from] outbox::OutboxError),
    /// The transcript of a recording.
    #[error(transparent)]
    Record(#[from] record::RecordError),
    /// The process was told a second time to stop.
    #[error("{0} again: stopped at once, without waiting for connections to close")]
    StoppedAtOnce(&'static str),
    /// The system refuses something that works everywhere else.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl CommandError {
    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::NoApp { .. }
            | Self::Checked(_)
            | Self::Outbox(outbox::OutboxError::UnknownDatabase { .. } | outbox::OutboxError::NoOutbox)
            | Self::Start(
                StartError::Problems(_)
                | StartError::Traces(_)
                | StartError::Admin(AdminError::Problem(_))
                | StartError::Api(ApiStartError::Problem(_)),
            )
            | Self::Admin(ClientError::Config(_)) => EXIT_CONFIG.into(),
            Self::Start(
                StartError::Listen { .. }
                | StartError::Watch(_)
                | StartError::Cluster(_)
                | StartError::Admin(AdminError::Listen { .. })
                | StartError::Api(ApiStartError::Listen(_)),
            )
            | Self::Listen(_)
            | Self::Build(_)
            | Self::Watch { .. }
            | Self::Admin(_)
            | Self::Module { .. }
            | Self::Publish(_)
            | Self::Tail(_)
            | Self::New(_)
            | Self::Man { .. }
            | Self::Outbox(outbox::OutboxError::Database(_))
            | Self::Record(_)
            | Self::StoppedAtOnce(_)
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

/// The config of an app's folder, for a command; DIR may also be the config file itself.
fn app_config(command: &'static str, dir: &Path) -> Result<Config, CommandError> {
    let file = if dir.is_file() { dir.to_owned() } else { dir.join(CONFIG_FILE) };
    match Config::load(&file) {
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(CommandError::NoApp { command, file, source, near: apps_near(dir) })
        }
        other => Ok(other?),
    }
}

/// Folders in `dir` that are apps.
fn apps_near(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut apps: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.join(CONFIG_FILE).is_file()).collect();
    apps.sort();
    apps
}

/// What to type instead of a command in a folder that is not an app's.
fn instead(command: &str, near: &[PathBuf]) -> String {
    match near.first() {
        Some(app) => {
            let app = app.strip_prefix(".").unwrap_or(app).display();
            format!("this is not an app's folder, but `hassock {command} {app}` would work")
        }
        None => format!(
            "this is not an app's folder; name one, as in `hassock {command} DIR`, or create one with `hassock new hello`"
        ),
    }
}
