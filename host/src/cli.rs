//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Hassock has the sockets; your module has the logic.
///
/// A host for WebSocket applications that are WebAssembly components. Begin with
/// `hassock dev examples-wasm/chat` and open the printed address in a browser.
#[derive(Debug, Parser)]
#[command(name = "hassock", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build and serve an app, and again whenever one of its files changes
    ///
    /// Reads DIR/hassock.toml, builds its modules, serves them with a test page, and watches DIR. After a
    /// change the module is built again and replaces the old one: open connections stay open. If a build
    /// fails, the old module goes on.
    #[command(after_help = "Example:\n  hassock dev examples-wasm/chat --listen 127.0.0.1:9000")]
    Dev {
        /// The app's folder, with a hassock.toml
        dir: PathBuf,
        /// Address and port to listen on, instead of the config's `listen`; port 0 takes any free one
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
    /// Build the modules of an app and print the paths of the components
    ///
    /// Runs the key `build` of each app in DIR/hassock.toml, by default
    /// `cargo build --release --target wasm32-wasip2`. The target is added through rustup if it is missing.
    /// What the build says goes to standard error; standard output has one path a line.
    #[command(after_help = "Example:\n  hassock build examples-wasm/chat")]
    Build {
        /// The app's folder, with a hassock.toml
        dir: PathBuf,
        /// Print a JSON object, app by app, instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Serve the apps of a config until SIGTERM or SIGINT
    ///
    /// Prints `Starting server on ADDR` when connections are served; the log goes to standard error. On
    /// SIGTERM or SIGINT all connections are closed with 1001, and every module hears of it, before the
    /// process ends with 0. It ends with 78 if the config, a module or a database is not fit to start with.
    #[command(after_help = "Example:\n  hassock serve --config /etc/hassock/hassock.toml")]
    Serve {
        /// The config
        #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
        config: PathBuf,
    },
    /// Report everything that would keep `serve` from starting, and serve nothing
    ///
    /// Reads the config, loads all modules and connects to all databases. Each problem is a line with file,
    /// line number and key. Ends with 0 if there is none, and with 78 otherwise.
    #[command(after_help = "Example:\n  hassock check --config /etc/hassock/hassock.toml")]
    Check {
        /// The config
        #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
        config: PathBuf,
        /// Print the problems as a JSON array
        #[arg(long)]
        json: bool,
    },
}
