//! Building an app's module: with the `build` command of its config, or with cargo.

mod cargo;
mod process;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use process::Running;
use tokio::process::Command;

use crate::config::{AppConfig, Config};

/// The command for an app without the key `build` in its config.
const DEFAULT_BUILD: &str = "cargo build --release --target wasm32-wasip2";

/// The beginning of a command that runs cargo and has output that the host understands.
const CARGO: &str = "cargo build";

/// Why a build left no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The command cannot be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command.
        command: String,
        /// What the system says.
        source: io::Error,
    },
    /// The command failed and has printed the reason.
    #[error("`{command}` failed ({status}); see above")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The target is missing and rustup cannot add it.
    #[error(
        "the Rust target `wasm32-wasip2` is missing and `rustup target add wasm32-wasip2` failed; run that command to see why"
    )]
    Target,
    /// Cargo built no component.
    #[error("`{command}` built no component in {}: the package needs `crate-type = [\"cdylib\"]` under `[lib]`", folder.display())]
    NoComponent {
        /// The command.
        command: String,
        /// The app's folder.
        folder: PathBuf,
    },
    /// Cargo built several.
    #[error("`{command}` built several components ({}); choose one with `-p` in the key `build`", names.join(", "))]
    Several {
        /// The command.
        command: String,
        /// Their files.
        names: Vec<String>,
    },
    /// The command succeeded, but did not write the file of the key `module`.
    #[error("`{command}` succeeded, but did not write {}; correct the key `build` or `module`", module.display())]
    Missing {
        /// The command.
        command: String,
        /// The file.
        module: PathBuf,
    },
    /// The component cannot be copied to the path of the key `module`.
    #[error("cannot write {}: {source}", module.display())]
    Write {
        /// The file.
        module: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The command that builds an app.
pub fn command(app: &AppConfig) -> &str {
    app.build.as_deref().unwrap_or(DEFAULT_BUILD)
}

/// What to tell a user about how long the build takes; nothing if it is not the first one with cargo.
pub fn expectation(config: &Config, app: &AppConfig) -> &'static str {
    let is_first = !config.locator.folder().join(&app.module).exists();
    match is_first && command(app).starts_with(CARGO) {
        true => " (the first build also compiles the dependencies: up to a minute; later ones take seconds)",
        false => "",
    }
}

/// Build the module of an app and put it where its key `module` says. Returns that path.
///
/// A command that begins with `cargo build` reports what it built, and the component is copied to `module`;
/// any other command has to write that file itself. What the command prints goes to standard error.
///
/// # Errors
/// If the build left no component.
pub async fn build(config: &Config, app: &AppConfig) -> Result<PathBuf, BuildError> {
    let folder = config.locator.folder();
    let module = folder.join(&app.module);
    let command = command(app);
    if command.starts_with(CARGO) {
        let component = cargo::build(command, folder).await?;
        place(&component, &module).map_err(|source| BuildError::Write { module: module.clone(), source })?;
    } else {
        run(command, folder).await?;
    }
    match module.is_file() {
        true => Ok(module),
        false => Err(BuildError::Missing { command: command.to_owned(), module }),
    }
}

async fn run(command: &str, folder: &Path) -> Result<(), BuildError> {
    let failed = |source| BuildError::Start { command: command.to_owned(), source };
    let to_stderr = |shell: &mut Command| {
        shell.stdout(Stdio::from(io::stderr()));
    };
    let status = Running::start(command, folder, to_stderr).map_err(failed)?.finish().await.map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(BuildError::Failed { command: command.to_owned(), status }),
    }
}

/// Put the component in its place in one step: a program that watches the file must not see half of it.
fn place(component: &Path, module: &Path) -> io::Result<()> {
    if component == module {
        return Ok(());
    }
    let folder = module.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temporary = tempfile::Builder::new().prefix(".hassock-").suffix(".tmp").tempfile_in(folder)?;
    io::copy(&mut fs::File::open(component)?, temporary.as_file_mut())?;
    // A temporary file is private to its user; the module gets the permissions of what was built.
    fs::set_permissions(temporary.path(), fs::metadata(component)?.permissions())?;
    temporary.persist(module).map(drop).map_err(|error| error.error)
}
