//! Building an app's module: the `build` command of its config, or cargo.

mod cargo;
mod process;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use process::Running;
use tokio::process::Command;

use crate::config::{AppConfig, Config};

/// What builds an app whose config does not say.
const DEFAULT_BUILD: &str = "cargo build --release --target wasm32-wasip2";

/// Why there is no component.
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
    /// The command failed; what it printed says why.
    #[error("`{command}` failed ({status}); see above")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The target is missing and cannot be added.
    #[error("the Rust target `wasm32-wasip2` is missing and `rustup target add wasm32-wasip2` failed; run it by hand")]
    Target,
    /// Cargo made no component.
    #[error("`{command}` made no component in {}: the package needs `crate-type = [\"cdylib\"]` under `[lib]`", folder.display())]
    NoComponent {
        /// The command.
        command: String,
        /// The app's folder.
        folder: PathBuf,
    },
    /// Cargo made several.
    #[error("`{command}` made several components ({}); name one with `-p` in the key `build`", names.join(", "))]
    Several {
        /// The command.
        command: String,
        /// Their files.
        names: Vec<String>,
    },
    /// The command went well, but the file of the key `module` is not there.
    #[error("`{command}` went well, but did not make {}; mend the key `build` or `module`", module.display())]
    Missing {
        /// The command.
        command: String,
        /// The file.
        module: PathBuf,
    },
    /// The component cannot be put in its place.
    #[error("cannot write {}: {source}", module.display())]
    Write {
        /// The file.
        module: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Build the module of an app and put it where its key `module` says. Returns that path.
///
/// A command that begins with `cargo build` tells us what it made, and the component is copied to `module`;
/// any other has to make that file itself. What the command prints goes to standard error.
///
/// # Errors
/// If there is no component in the end.
pub async fn build(config: &Config, app: &AppConfig) -> Result<PathBuf, BuildError> {
    let folder = config.locator.folder();
    let module = folder.join(&app.module);
    let command = app.build.as_deref().unwrap_or(DEFAULT_BUILD);
    if command.starts_with("cargo build") {
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

/// Put the component in its place in one step: nobody who watches the file may see half of it.
fn place(component: &Path, module: &Path) -> io::Result<()> {
    if component == module {
        return Ok(());
    }
    let folder = module.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temporary = tempfile::Builder::new().prefix(".hassock-").suffix(".tmp").tempfile_in(folder)?;
    io::copy(&mut fs::File::open(component)?, temporary.as_file_mut())?;
    // A temporary file is private to its user; a module is as readable as what was built.
    fs::set_permissions(temporary.path(), fs::metadata(component)?.permissions())?;
    temporary.persist(module).map(drop).map_err(|error| error.error)
}
