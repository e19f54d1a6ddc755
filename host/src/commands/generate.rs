//! `hassock generate`

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, Subcommand};
use clap_complete::Shell;

use super::CommandError;
use super::print::print;

/// Print completions for a shell, or write man pages
///
/// The Debian package contains both. This command is for programs that were installed in another way.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  hassock generate completions bash > /etc/bash_completion.d/hassock\n  \
        hassock generate man /usr/local/share/man/man1"
)]
pub struct GenerateArgs {
    /// What to generate
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Print a script with which a shell completes commands
    #[command(after_help = "Example:\n  hassock generate completions bash > /etc/bash_completion.d/hassock")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a man page for each command into a folder
    #[command(after_help = "Example:\n  hassock generate man /usr/local/share/man/man1")]
    Man {
        /// The folder, which is created if it is missing
        dir: PathBuf,
    },
}

/// Generate what is derived from the definition of the command line.
///
/// # Errors
/// If a file cannot be written.
pub fn run(args: &GenerateArgs, definition: Command) -> Result<(), CommandError> {
    match &args.what {
        What::Completions { shell } => completions(*shell, definition),
        What::Man { dir } => man(dir, definition)?,
    }
    Ok(())
}

fn completions(shell: Shell, mut definition: Command) {
    let name = definition.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition, name, &mut script);
    print(String::from_utf8_lossy(&script));
}

fn man(dir: &Path, definition: Command) -> Result<(), CommandError> {
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(definition, dir));
    written.map_err(|source| CommandError::Man { dir: dir.to_owned(), source })
}
