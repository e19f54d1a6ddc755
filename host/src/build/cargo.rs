//! Cargo as the build command: it reports in JSON what it built, so that no path has to be guessed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};

use super::BuildError;
use super::process::Running;

const TARGET: &str = "wasm32-wasip2";

/// Run a `cargo build …` command line in `folder`. Returns the one component that it built there.
pub(super) async fn build(command: &str, folder: &Path) -> Result<PathBuf, BuildError> {
    if command.contains(TARGET) {
        add_target(folder).await?;
    }
    let line = format!("{command} --message-format=json-render-diagnostics");
    let start = |source| BuildError::Start { command: command.to_owned(), source };
    let piped = |cargo: &mut Command| {
        // The variables with which cargo has started the host must not reach the module's build.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_an_outer_cargo(name)) {
            cargo.env_remove(name);
        }
        cargo.stdout(Stdio::piped());
    };
    let mut cargo = Running::start(&line, folder, piped).map_err(start)?;
    let components = match cargo.output() {
        Some(output) => components(output, folder).await,
        None => Vec::new(),
    };
    let status = cargo.finish().await.map_err(start)?;
    if !status.success() {
        return Err(BuildError::Failed { command: command.to_owned(), status });
    }
    match <[PathBuf; 1]>::try_from(components) {
        Ok([component]) => Ok(component),
        Err(none) if none.is_empty() => {
            Err(BuildError::NoComponent { command: command.to_owned(), folder: folder.to_owned() })
        }
        Err(several) => Err(BuildError::Several {
            command: command.to_owned(),
            names: several.iter().map(|file| file.display().to_string()).collect(),
        }),
    }
}

/// One line of cargo's output, with the fields that are used here.
#[derive(Deserialize)]
struct Line {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The wasm files that packages in `folder` were built to.
async fn components(output: ChildStdout, folder: &Path) -> Vec<PathBuf> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut lines = BufReader::new(output).lines();
    let mut components = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
        let of_folder = line.manifest_path.is_some_and(|manifest| manifest.starts_with(&folder));
        if line.reason == "compiler-artifact" && of_folder {
            components.extend(
                line.filenames.into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "wasm")),
            );
        }
    }
    components
}

/// Add the wasm target through rustup if the toolchain of `folder` lacks it. Without rustup, the toolchain was installed
/// in another way, and cargo will report a missing target.
async fn add_target(folder: &Path) -> Result<(), BuildError> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await;
    let Ok(installed) = installed else { return Ok(()) };
    if !installed.status.success() || String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == TARGET) {
        return Ok(());
    }
    say("Adding the Rust target wasm32-wasip2: modules are built for it").await;
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .await;
    if added.is_ok_and(|status| status.success()) { Ok(()) } else { Err(BuildError::Target) }
}

async fn say(line: &str) {
    let mut stderr = tokio::io::stderr();
    // If this fails, the error cannot be shown either.
    let _ = stderr.write_all(format!("{line}\n").as_bytes()).await;
    let _ = stderr.flush().await;
}

/// `cargo run` sets these for the host; a build that inherited them would differ from one that the user starts.
fn is_of_an_outer_cargo(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    (name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "LD_LIBRARY_PATH"].contains(&&*name)
}
