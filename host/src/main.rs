//! The binary: arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let cli = hassock::cli::Cli::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(hassock::commands::run(cli));
    // A module that is still being compiled will not be served any more, and is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}
