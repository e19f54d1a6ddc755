//! `hassock new`: an app that works, with tests of both kinds.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::CommandError;
use super::print::print_line;

/// The files of a new app. `{{name}}` and `{{sdk}}` are filled in, in their names too.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("hassock.toml", include_str!("template/hassock.toml.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("src/tests.rs", include_str!("template/tests.rs.in")),
    ("{{name}}.transcript", include_str!("template/transcript.in")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", include_str!("template/gitignore.in")),
];

/// The SDK beside the sources that this program was built from.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk");

/// Why there is no new app.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// Its name is that of the folder.
    #[error("`{0}` is no name for an app: it needs a letter, then letters, digits, `-` and `_`; name another folder")]
    Name(String),
    /// There is something already.
    #[error("{} is there already and not empty; name a new folder", .0.display())]
    Occupied(PathBuf),
    /// The SDK is not where it was.
    #[error("{}: there is no SDK; name its folder, which is `guest-sdk` in Hassock's sources, with --sdk", .0.display())]
    NoSdk(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Make an app in a new folder.
///
/// # Errors
/// If there is something already, or it cannot be written.
pub fn run(dir: &Path, sdk: Option<&Path>) -> Result<(), CommandError> {
    create(dir, sdk.unwrap_or(Path::new(SDK)))?;
    let dir = dir.display();
    print_line(format!("made {dir}; now try\n  hassock test {dir}\n  hassock dev {dir}"));
    Ok(())
}

fn create(dir: &Path, sdk: &Path) -> Result<(), NewError> {
    let name = name(dir)?;
    let is_empty = fs::read_dir(dir).map(|mut entries| entries.next().is_none());
    if dir.exists() && !is_empty.unwrap_or(false) {
        return Err(NewError::Occupied(dir.to_owned()));
    }
    let no_sdk = || NewError::NoSdk(sdk.to_owned());
    let found = sdk.canonicalize().ok().filter(|sdk| sdk.join("Cargo.toml").is_file()).ok_or_else(no_sdk)?;
    let found = found.to_str().ok_or_else(no_sdk)?;
    for (path, template) in FILES {
        // In TOML, the path stands in a string.
        let sdk = found.replace('\\', "\\\\").replace('"', "\\\"");
        let text = template.replace("{{name}}", &name).replace("{{sdk}}", &sdk);
        write(&dir.join(path.replace("{{name}}", &name)), &text)?;
    }
    Ok(())
}

/// The name of the app, its crate and its path: that of the folder.
fn name(dir: &Path) -> Result<String, NewError> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let is_well_formed = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    match begins_well && is_well_formed {
        true => Ok(name),
        false => Err(NewError::Name(name)),
    }
}

fn write(file: &Path, text: &str) -> Result<(), NewError> {
    let folder = file.parent().unwrap_or(file);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, text));
    written.map_err(|source| NewError::Write { file: file.to_owned(), source })
}
