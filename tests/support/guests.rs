//! Modules for tests and the host's binary, built from source once for each run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The top of the repository.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Where cargo puts what it builds, for all workspaces of the repository: see `.cargo/config.toml`.
pub fn target() -> PathBuf {
    workspace().join("target")
}

/// Where compiled modules are kept from one test to the next, and from one run to the next.
pub fn cache() -> PathBuf {
    target().join("test-cache")
}

/// The component of a crate under `tests/guests`.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("tests/guests"));
    component(name)
}

/// The module `marked` with another mark: a name, and words that say how it behaves; see its source.
///
/// # Panics
/// If the mark has more than 57 bytes.
pub fn marked(mark: &str) -> Vec<u8> {
    const BEGIN: &[u8] = b"<mark:";
    const ROOM: usize = 57;
    assert!(mark.len() <= ROOM, "{mark} is longer than {ROOM} bytes");
    let mut bytes = std::fs::read(guest("marked")).unwrap_or_else(|error| panic!("no module: {error}"));
    let place = bytes.windows(BEGIN.len()).position(|window| window == BEGIN);
    let place = place.unwrap_or_else(|| panic!("the module has no mark")) + BEGIN.len();
    bytes[place..place + ROOM].copy_from_slice(format!("{mark:ROOM$}").as_bytes());
    bytes
}

/// A module of the tests in which `memory.grow` by an impossible number of pages is a `table.grow`, by 1,000 functions:
/// Rust has none.
///
/// # Panics
/// If there is no such `memory.grow` in it.
pub fn growing_tables(name: &str) -> Vec<u8> {
    /// `i32.const 0x7ab1e000`, `memory.grow 0`
    const MEMORY: [u8; 8] = [0x41, 0x80, 0xc0, 0xc7, 0xd5, 0x07, 0x40, 0];
    /// `ref.null func`, `i32.const 1000`, `table.grow 0`
    const TABLE: [u8; 8] = [0xd0, 0x70, 0x41, 0xe8, 0x07, 0xfc, 0x0f, 0];
    let mut bytes = std::fs::read(guest(name)).unwrap_or_else(|error| panic!("no module: {error}"));
    let places: Vec<_> = (0..bytes.len()).filter(|place| bytes[*place..].starts_with(&MEMORY)).collect();
    assert!(!places.is_empty(), "{name} grows no memory by that much");
    for place in places {
        bytes[place..place + TABLE.len()].copy_from_slice(&TABLE);
    }
    bytes
}

/// A module of the tests of which each instance has this many more instances of core modules, which are empty: it takes
/// more of what the instances of all apps share.
///
/// # Panics
/// If it is not a component.
pub fn crowded(name: &str, more: u8) -> Vec<u8> {
    /// Ids of sections.
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCES: u8 = 2;
    let mut bytes = std::fs::read(guest(name)).unwrap_or_else(|error| panic!("no module: {error}"));
    let modules = sections(&bytes).into_iter().filter(|id| *id == CORE_MODULE).count();
    let module = u8::try_from(modules).unwrap_or(u8::MAX);
    assert!(module < 128 && more < 32, "{name} has too many modules for numbers of one byte");
    bytes.extend([CORE_MODULE, 8]);
    bytes.extend(b"\0asm\x01\0\0\0");
    // Each is an instance of that module, without imports.
    bytes.extend([CORE_INSTANCES, 1 + 3 * more, more]);
    bytes.extend([0, module, 0].repeat(usize::from(more)));
    bytes
}

/// The ids of the sections of a component.
fn sections(component: &[u8]) -> Vec<u8> {
    let (mut ids, mut rest) = (Vec::new(), component.get(8..).unwrap_or_default());
    while let Some((id, after)) = rest.split_first() {
        // Unsigned LEB128.
        let bytes = 1 + after.iter().take_while(|byte| **byte >= 0x80).count();
        let digits = after.iter().take(bytes).rev();
        let length = digits.fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        ids.push(*id);
        rest = after.get(bytes + length..).unwrap_or_default();
    }
    ids
}

/// The component of a crate under `examples-wasm`.
pub fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("examples-wasm"));
    component(name)
}

/// The program `hassock`: the one that `HASSOCK_BINARY` names, which `tests/run` has built, or else one that is built
/// with the profile of this test program.
///
/// # Panics
/// If it does not build.
pub fn binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| env::var_os(BINARY).map_or_else(build_binary, PathBuf::from)).clone()
}

/// The variable with the path of the program.
const BINARY: &str = "HASSOCK_BINARY";

fn build_binary() -> PathBuf {
    // This program is `target/PROFILE/deps/it-…` or `target/PROFILE/bench`.
    let program = env::current_exe().unwrap_or_default();
    let folder = program.ancestors().find(|folder| folder.parent() == Some(&target())).unwrap_or(&program);
    let profile = match folder.file_name().and_then(OsStr::to_str).unwrap_or_default() {
        "debug" => "dev",
        name => name,
    };
    // The whole workspace, so that dependencies have the features that they have in `cargo test --workspace`.
    let built = cargo(&workspace())
        .args(["build", "--locked", "--workspace", "--bin", "hassock", "--profile", profile])
        .status();
    assert!(built.is_ok_and(|status| status.success()), "hassock does not build");
    folder.join("hassock")
}

/// Cargo in a folder, without the variables that it set for this test: they would change the build.
fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn component(name: &str) -> PathBuf {
    let file = target().join(format!("wasm32-wasip2/release/{name}.wasm"));
    assert!(file.is_file(), "there is no module {}", file.display());
    file
}

/// Build a workspace of modules.
fn build(folder: &str) {
    let status = cargo(&workspace().join(folder))
        .args(["build", "--release", "--locked", "--target", "wasm32-wasip2"])
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(status.success(), "the modules in {folder} do not build");
}
