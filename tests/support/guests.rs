//! Modules for tests, built from source once for each run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The top of the repository.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The component of a crate under `tests/guests`.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    component(BUILT.get_or_init(|| build("tests/guests")), name)
}

/// The component of a crate under `examples-wasm`.
pub fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    component(BUILT.get_or_init(|| build("examples-wasm")), name)
}

fn component(target: &Path, name: &str) -> PathBuf {
    let file = target.join(format!("wasm32-wasip2/release/{name}.wasm"));
    assert!(file.is_file(), "there is no module {}", file.display());
    file
}

/// Build a workspace of modules; returns its target folder.
fn build(folder: &str) -> PathBuf {
    let folder = workspace().join(folder);
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--target", "wasm32-wasip2"])
        .current_dir(&folder)
        // Cargo's variables for this test binary would make it another build.
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(status.success(), "the modules in {} do not build", folder.display());
    folder.join("target")
}
