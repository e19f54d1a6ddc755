//! The binary: arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use hassock::cli::Cli;

/// The allocator of musl, with which static programs are built, serves one thread at a time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
