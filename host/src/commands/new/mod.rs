//! `hassock new`: an app that works, with tests of both kinds. It needs nothing of Hassock but this program: the SDK
//! and the contract are in its folder `vendor`.

mod embedded;
mod files;
mod lock;
mod name;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::CommandError;
use super::print::print_line;
use name::NameError;

/// Create an app: module, config and tests of both kinds
///
/// The name of the folder becomes that of the app, its crate and its path; a copy of an example keeps the name of the
/// example. `hassock test DIR` passes at once, and `hassock dev DIR` serves it. The folder `vendor` has the SDK, so cargo
/// alone builds the app, on any machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hassock new hello\n  hassock new my-chat --example chat")]
pub struct NewArgs {
    /// A folder that does not exist yet, or is empty
    dir: PathBuf,
    /// Copy an example instead
    #[arg(long, value_name = "NAME")]
    example: Option<Example>,
}

/// The examples that a new app can be a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Example {
    /// Rooms with presence, history and private messages
    Chat,
    /// Requests and replies over JSON, kept in a database
    Guestbook,
    /// Answers a few commands
    Commands,
    /// Sends every message back
    Echo,
}

/// Why there is no new app.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// Its name is that of the folder.
    #[error("{0}; name another folder")]
    Name(#[from] NameError),
    /// There is something already.
    #[error("{} exists and is not empty; name a new folder", .0.display())]
    Occupied(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Create an app in a new folder.
///
/// # Errors
/// If the name is not possible, there is something already, or a file cannot be written.
pub fn run(args: &NewArgs) -> Result<(), CommandError> {
    create(&args.dir, args.example)?;
    let dir = args.dir.display();
    print_line(format!("created {dir}; now try\n  hassock test {dir}\n  hassock dev {dir}"));
    Ok(())
}

fn create(dir: &Path, example: Option<Example>) -> Result<(), NewError> {
    let files = match example {
        Some(example) => files::of_example(example),
        None => files::of_app(&name::check(name_of(dir))?),
    };
    let is_empty = fs::read_dir(dir).map(|mut entries| entries.next().is_none());
    if dir.exists() && !is_empty.unwrap_or(false) {
        return Err(NewError::Occupied(dir.to_owned()));
    }
    files.iter().try_for_each(|(path, contents)| write(&dir.join(path), contents))
}

/// The name of the app, its crate and its path: that of the folder.
fn name_of(dir: &Path) -> String {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn write(file: &Path, contents: &[u8]) -> Result<(), NewError> {
    let folder = file.parent().unwrap_or(file);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, contents));
    written.map_err(|source| NewError::Write { file: file.to_owned(), source })
}
