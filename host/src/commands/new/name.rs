//! Names of apps. The name of an app is also that of its crate, so cargo has a say.

use super::lock;

/// Words of Rust. Cargo refuses them, as no crate could be named in the code.
const KEYWORDS: [&str; 51] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "yield",
];

/// Crates that every Rust program has, and folders that cargo makes itself.
const OF_CARGO: [&str; 9] = ["alloc", "build", "core", "deps", "examples", "incremental", "proc_macro", "std", "test"];

/// The SDK under its earlier name: such an app would be taken for it.
const OF_HASSOCK: [&str; 2] = ["hassock", "hassock_guest"];

/// Why a name is not possible.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has other characters.
    #[error("`{0}` cannot name an app: a name is a letter, then letters, digits, `-` and `_`")]
    Malformed(String),
    /// It means something to Rust or cargo.
    #[error("`{0}` cannot name an app: the word is reserved in Rust or cargo")]
    Reserved(String),
    /// A crate that the app is built with has it.
    #[error("`{0}` cannot name an app: a crate that the app is built with has that name")]
    Dependency(String),
}

/// Check a name.
pub(super) fn check(name: String) -> Result<String, NameError> {
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if !begins_well || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')) {
        return Err(NameError::Malformed(name));
    }
    let normal = |name: &str| name.replace('-', "_");
    let crate_name = normal(&name);
    if KEYWORDS.contains(&crate_name.as_str()) || OF_CARGO.contains(&crate_name.as_str()) || is_device(&crate_name) {
        return Err(NameError::Reserved(name));
    }
    if OF_HASSOCK.contains(&crate_name.as_str()) || lock::dependencies().any(|other| normal(other) == crate_name) {
        return Err(NameError::Dependency(name));
    }
    Ok(name)
}

/// Names that no file can have on Windows.
fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_numbered = |name: &str| name.len() == 1 && name.bytes().all(|digit| digit.is_ascii_digit());
    ["con", "prn", "aux", "nul"].contains(&name.as_str())
        || ["com", "lpt"].iter().any(|device| name.strip_prefix(device).is_some_and(is_numbered))
}
