//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::test::TestArgs;
use crate::config::Share;

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
    /// Make a new app: module, config, tests of both kinds
    ///
    /// The name of the folder becomes that of the app, its crate and its path. `hassock test DIR` passes at
    /// once, and `hassock dev DIR` serves it.
    #[command(after_help = "Example:\n  hassock new hello")]
    New {
        /// A folder that is not there yet, or empty
        dir: PathBuf,
        /// The folder of the SDK, `guest-sdk` in Hassock's sources, if it is not where it was
        #[arg(long, value_name = "FOLDER")]
        sdk: Option<PathBuf>,
    },
    /// Play transcripts against an app's modules: the whole host in this process, without sockets and servers
    ///
    /// A transcript is a text file that says what clients send and what they get:
    ///
    ///   connect alice /chat?room=lobby
    ///   connect bob /chat?room=lobby
    ///   alice < {"joined":"${any}"}
    ///   alice > {"say":"hi"}
    ///   bob < {"from":"alice","say":"hi"}
    ///   advance 30s
    ///   fail sql main: connection lost
    ///   alice > {"say":"lost"}
    ///   alice closed 1011
    ///
    /// A message that no step expects fails the transcript. So does a failed call: `alice closed 1011` expects
    /// the call that closed the connection, and `failed fired: /error/` a call that no client notices.
    /// Databases are in memory and begin empty, time passes only when a step says so, and the same file gives
    /// the same result every time. The README has all steps. Ends with 0 if all pass, with 1 if a
    /// step fails, and with 2 if a transcript, a module or the host cannot be used at all.
    #[command(
        verbatim_doc_comment,
        after_help = "Examples:\n  hassock test examples-wasm/chat\n  hassock test chat.wasm chat.transcript\n  \
            hassock test examples-wasm/chat --url ws://127.0.0.1:8080"
    )]
    Test(TestArgs),
    /// See and change which versions the apps of a running host serve
    ///
    /// Talks to the admin listener of a host on this machine: its config needs a table `[admin]`, and the
    /// token file must be readable. Changes last until the host ends; then the modules' files count again.
    #[command(after_help = "Example:\n  hassock module list --config /etc/hassock/hassock.toml")]
    Module {
        /// What to do
        #[command(subcommand)]
        command: ModuleCommand,
    },
    /// Record the traffic of an app of a running host as a transcript
    ///
    /// Writes what the next connections of APP send and get into FILE, with the pauses between, and ends when
    /// all of them have ended, or on Ctrl-C. Connections that are open already are not recorded, and requests
    /// that are refused do not count. Header fields with credentials, the query parameters `token`,
    /// `access_token`, `password` and `key`, and what the config's `apps.APP.record` names are redacted before
    /// they leave the host. Talks to the admin listener of a host on this machine, as `hassock module` does.
    #[command(after_help = "Examples:\n  hassock record chat login.transcript\n  \
        hassock record chat talk.transcript --connections 2 --config /etc/hassock/hassock.toml")]
    Record(RecordArguments),
}

/// What is recorded, and where it goes.
#[derive(Debug, Args)]
pub struct RecordArguments {
    /// The app's name in the config
    pub app: String,
    /// The transcript to write; a file that exists is not written over
    pub file: PathBuf,
    /// How many connections to record
    #[arg(long, value_name = "N", default_value = "1")]
    pub connections: NonZeroUsize,
    /// Write over FILE if it exists
    #[arg(long)]
    pub force: bool,
    /// The host
    #[command(flatten)]
    pub host: RunningHost,
}

/// The commands about the modules of a running host.
#[derive(Debug, Subcommand)]
pub enum ModuleCommand {
    /// Show the versions of each app: who has connections, how many calls failed, how long they take
    ///
    /// States: `serving` gets new connections, `canary` a share of them, `draining` none but has some left,
    /// `kept` stays ready for a rollback, `rolled back` failed or was taken back.
    List {
        /// Only this app
        app: Option<String>,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Give a new version to an app, after the host has compiled and checked it
    ///
    /// Open connections stay open. A module that does not compile, asks for what the config does not grant,
    /// or fails its own check never gets traffic: the running version goes on, and this ends with 1. Once
    /// the module is sent, the deploy is finished even if this command is interrupted.
    #[command(after_help = "Examples:\n  hassock module deploy chat chat.wasm\n  \
        hassock module deploy chat chat.wasm --canary 10%")]
    Deploy {
        /// The app's name in the config
        app: String,
        /// The component, as `hassock build` makes it
        file: PathBuf,
        /// Give it to this share of connections only; `promote` gives it to all, `rollback` to none
        #[arg(long, value_name = "SHARE")]
        canary: Option<Share>,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Give the canary of an app to all connections
    Promote {
        /// The app's name in the config
        app: String,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Take back the canary of an app, or without one go back to the version before
    ///
    /// Compiles nothing: the version before was kept ready.
    Rollback {
        /// The app's name in the config
        app: String,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
    /// Keep the open connections of an app on their version while others are deployed
    ///
    /// For as long as the config's `pin_for` says, or `--for`. New connections get the new version.
    #[command(after_help = "Examples:\n  hassock module pin chat --for 10m\n  hassock module pin chat --off")]
    Pin {
        /// The app's name in the config
        app: String,
        /// For how long a connection stays on its version, such as 30s, 10m or 2h
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "off")]
        pin_for: Option<Duration>,
        /// No longer: a deploy moves open connections to the new version
        #[arg(long)]
        off: bool,
        /// The host
        #[command(flatten)]
        host: RunningHost,
    },
}

/// Which host, and how its answer is printed.
#[derive(Debug, Args)]
pub struct RunningHost {
    /// The config that the host was started with
    #[arg(long, value_name = "FILE", default_value = "hassock.toml")]
    pub config: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(line: &str) -> Result<ModuleCommand, String> {
        let words = "hassock module".split(' ').chain(line.split(' '));
        match Cli::try_parse_from(words) {
            Ok(Cli { command: Command::Module { command } }) => Ok(command),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_about_modules_are_understood() {
        let Ok(ModuleCommand::List { app: None, host }) = module("list") else { panic!("list") };
        assert_eq!((host.config.to_str(), host.json), (Some("hassock.toml"), false));
        let Ok(ModuleCommand::List { app: Some(app), host }) = module("list chat --json --config x.toml") else {
            panic!("list chat")
        };
        assert_eq!((app.as_str(), host.config.to_str(), host.json), ("chat", Some("x.toml"), true));
        let Ok(ModuleCommand::Deploy { app, file, canary, .. }) = module("deploy chat c.wasm --canary 2.5%") else {
            panic!("deploy")
        };
        assert_eq!((app.as_str(), file.to_str(), canary), ("chat", Some("c.wasm"), Some("2.5%".parse().unwrap())));
        assert!(matches!(module("deploy chat c.wasm"), Ok(ModuleCommand::Deploy { canary: None, .. })));
        assert!(matches!(module("promote chat"), Ok(ModuleCommand::Promote { app, .. }) if app == "chat"));
        assert!(matches!(module("rollback chat"), Ok(ModuleCommand::Rollback { app, .. }) if app == "chat"));
        let Ok(ModuleCommand::Pin { pin_for, off, .. }) = module("pin chat --for 10m") else { panic!("pin") };
        assert_eq!((pin_for, off), (Some(Duration::from_secs(600)), false));
        assert!(matches!(module("pin chat --off"), Ok(ModuleCommand::Pin { pin_for: None, off: true, .. })));
        assert!(matches!(module("pin chat"), Ok(ModuleCommand::Pin { pin_for: None, off: false, .. })));
    }

    #[test]
    fn a_recording_is_understood() {
        let record = |line: &str| match Cli::try_parse_from(line.split(' ')) {
            Ok(Cli { command: Command::Record(arguments) }) => Ok(arguments),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        };
        let arguments = record("hassock record chat a.transcript").unwrap();
        assert_eq!((arguments.app.as_str(), arguments.file.to_str()), ("chat", Some("a.transcript")));
        assert_eq!((arguments.connections.get(), arguments.force, arguments.host.json), (1, false, false));
        let arguments = record("hassock record chat a --connections 3 --force --json --config x").unwrap();
        assert_eq!((arguments.connections.get(), arguments.force, arguments.host.json), (3, true, true));
        assert!(record("hassock record chat").unwrap_err().contains("<FILE>"));
        assert!(record("hassock record chat a --connections 0").unwrap_err().contains("invalid value '0'"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, expected) in [
            ("deploy chat", "<FILE>"),
            ("deploy chat c.wasm --canary 100%", "`100%` is no share"),
            ("pin chat --for 10m --off", "cannot be used with"),
            ("pin chat --for soon", "invalid value 'soon'"),
            ("promote", "<APP>"),
            ("reload", "unrecognized subcommand"),
        ] {
            let error = module(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
