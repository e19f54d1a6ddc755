//! The binary: arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use hassock::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
