//! Programs of Python that tests run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the programs of the Python packages in `support/python/requirements.txt`. They are installed if they are not
/// there, which `tests/run` does before.
///
/// # Panics
/// If they cannot be installed.
pub fn python_programs() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(install).clone()
}

fn install() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/python/install");
    let output = Command::new(&script).output().unwrap_or_else(|error| panic!("cannot run {script:?}: {error}"));
    assert!(output.status.success(), "{script:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("bin")
}
