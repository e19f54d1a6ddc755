//! The arguments of the commands that talk to a running host.

use std::path::PathBuf;

use clap::Args;

/// Which host, and how its response is printed.
#[derive(Debug, Args)]
pub struct RunningHost {
    /// The config that the host was started with
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
    /// Print the response as JSON
    #[arg(long)]
    pub json: bool,
}
