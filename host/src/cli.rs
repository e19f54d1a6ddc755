//! The command line: which commands there are. What each takes and does is in `commands`.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::allocator;
use crate::commands::build::BuildArgs;
use crate::commands::check::CheckArgs;
use crate::commands::config::ConfigArgs;
use crate::commands::dev::DevArgs;
use crate::commands::generate::GenerateArgs;
use crate::commands::module::ModuleArgs;
use crate::commands::new::NewArgs;
use crate::commands::outbox::OutboxArgs;
use crate::commands::publish::PublishArgs;
use crate::commands::record::RecordArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::tail::TailArgs;
use crate::commands::test::TestArgs;
use crate::commands::{
    CommandError, build, check, config, dev, generate, module, new, outbox, publish, record, serve, tail, test,
};
use crate::runtime::runtime;
use crate::socket;

/// Below the list of commands: what to type first.
const FIRST_STEPS: &str = "\
First steps:
  hassock new hello       create an app in the folder hello
  cd hello
  hassock test            build it and play its transcripts: no server, no browser
  hassock dev             build and serve it, and again whenever a file changes

`hassock help COMMAND` explains a command and shows an example.";

/// Hassock has the sockets; your module has the logic
///
/// A host for WebSocket applications whose logic is a WebAssembly component. It replaces a component with a new version
/// without closing a connection.
#[derive(Debug, Parser)]
#[command(name = "hassock", version, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(NewArgs),
    Dev(DevArgs),
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
    /// the call that closed the connection, and `failed app-timer: /error/` a call that no client notices.
    /// Databases are in memory and begin empty, time passes only when a step says so, and the same file gives
    /// the same result every time. The book lists all steps. Ends with 0 if all pass, with 1 if a
    /// step fails, and with 2 if a transcript, a module or the host cannot be used at all.
    #[command(
        verbatim_doc_comment,
        after_help = "Examples:\n  hassock test\n  hassock test examples-wasm/chat\n  \
            hassock test chat.wasm chat.transcript\n  hassock test examples-wasm/chat --url ws://127.0.0.1:8080"
    )]
    Test(TestArgs),
    Build(BuildArgs),
    Serve(ServeArgs),
    Check(CheckArgs),
    Config(ConfigArgs),
    Module(ModuleArgs),
    Outbox(OutboxArgs),
    Record(RecordArgs),
    Publish(PublishArgs),
    Tail(TailArgs),
    Generate(GenerateArgs),
}

impl Cli {
    /// Run the command to its end. The message of an error goes to standard error.
    ///
    /// This is not an `async` function, because the code of such a function is compiled where it is awaited: to build the
    /// program would be to compile all commands, and with them the host, once more.
    pub fn run(self) -> ExitCode {
        if matches!(self.command, Command::Serve(_) | Command::Dev(_)) {
            allocator::settle();
            socket::note_inherited();
        }
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("cannot start: {error}");
                return ExitCode::FAILURE;
            }
        };
        let result = runtime.block_on(self.run_command());
        // Does not wait for a module that is still being compiled: it will not be served any more.
        runtime.shutdown_background();
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                error.exit_code()
            }
        }
    }

    async fn run_command(self) -> Result<(), CommandError> {
        // Each boxed: a command holds all of the host, and only one of them runs.
        match self.command {
            Command::New(args) => new::run(&args),
            Command::Dev(args) => Box::pin(dev::run(args)).await,
            Command::Test(args) => Ok(Box::pin(test::run(args)).await?),
            Command::Build(args) => Box::pin(build::run(args)).await,
            Command::Serve(args) => Box::pin(serve::run(args)).await,
            Command::Check(args) => Box::pin(check::run(args)).await,
            Command::Config(args) => config::run(&args),
            Command::Module(args) => Box::pin(module::run(args)).await,
            Command::Outbox(args) => Box::pin(outbox::run(args)).await,
            Command::Record(args) => Box::pin(record::run(args)).await,
            Command::Publish(args) => Box::pin(publish::run(args)).await,
            Command::Tail(args) => Box::pin(tail::run(args)).await,
            Command::Generate(args) => generate::run(&args, Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap_complete::Shell;

    use super::*;
    use crate::commands::generate::What;
    use crate::commands::module::ModuleCommand;
    use crate::commands::outbox::OutboxCommand;

    fn parse(line: &str) -> Result<Command, String> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command).map_err(|error| error.to_string())
    }

    fn module(line: &str) -> Result<ModuleCommand, String> {
        match parse(&format!("hassock module {line}"))? {
            Command::Module(args) => Ok(args.command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_folder_a_command_is_about_this_one() {
        let Ok(Command::Dev(dev)) = parse("hassock dev") else { panic!("dev") };
        let Ok(Command::Build(build)) = parse("hassock build") else { panic!("build") };
        let Ok(Command::Test(test)) = parse("hassock test --bless") else { panic!("test") };
        assert_eq!([dev.dir, build.dir, test.target], [".", ".", "."].map(std::path::PathBuf::from));
    }

    #[test]
    fn an_address_may_lack_its_host() {
        for (text, expected) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("localhost:9000", "127.0.0.1:9000"), (":9000", "127.0.0.1:9000")]
        {
            let Ok(Command::Dev(dev)) = parse(&format!("hassock dev --listen {text}")) else { panic!("{text}") };
            assert_eq!(dev.listen.unwrap().to_string(), expected);
        }
        let error = parse("hassock dev --listen everywhere").unwrap_err();
        assert!(error.contains("`everywhere` is not an address; write it as"), "{error}");
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
        let record = |line: &str| match parse(line)? {
            Command::Record(args) => Ok::<_, String>(args),
            other => panic!("{other:?}"),
        };
        let args = record("hassock record chat a.transcript").unwrap();
        assert_eq!((args.app.as_str(), args.file.to_str()), ("chat", Some("a.transcript")));
        assert_eq!((args.connections.get(), args.force, args.host.json), (1, false, false));
        let args = record("hassock record chat a --connections 3 --force --json --config x").unwrap();
        assert_eq!((args.connections.get(), args.force, args.host.json), (3, true, true));
        assert!(record("hassock record chat").unwrap_err().contains("<FILE>"));
        assert!(record("hassock record chat a --connections 0").unwrap_err().contains("invalid value '0'"));
    }

    #[test]
    fn an_outbox_is_understood() {
        let init = |line: &str| match parse(line)? {
            Command::Outbox(OutboxArgs { command: OutboxCommand::Init(args) }) => Ok::<_, String>(args),
            other => panic!("{other:?}"),
        };
        let args = init("hassock outbox init").unwrap();
        assert_eq!((args.database, args.config.to_str()), (None, Some("hassock.toml")));
        assert!(!args.print && !args.without_order);
        let args = init("hassock outbox init main --print --without-order --config x").unwrap();
        assert_eq!((args.database.as_deref(), args.config.to_str()), (Some("main"), Some("x")));
        assert!(args.print && args.without_order);
        assert!(parse("hassock outbox").unwrap_err().contains("init"));
    }

    #[test]
    fn messages_from_the_command_line_are_understood() {
        let Ok(Command::Publish(args)) = parse("hassock publish chat news") else { panic!("publish") };
        assert_eq!((args.app.as_str(), args.topic.as_str(), args.file, args.binary), ("chat", "news", None, false));
        let line = "hassock publish chat news a.bin --binary --id 7 --json --config x";
        let Ok(Command::Publish(args)) = parse(line) else { panic!("publish") };
        assert_eq!((args.file.unwrap().to_str(), args.binary, args.id.as_deref()), (Some("a.bin"), true, Some("7")));
        let Ok(Command::Tail(args)) = parse("hassock tail chat news --json") else { panic!("tail") };
        assert_eq!((args.app.as_str(), args.topic.as_str(), args.host.json), ("chat", "news", true));
        assert!(parse("hassock tail chat").unwrap_err().contains("<TOPIC>"));
    }

    #[test]
    fn what_is_to_be_generated_is_understood() {
        let generate = |line: &str| match parse(&format!("hassock generate {line}"))? {
            Command::Generate(args) => Ok::<_, String>(args.what),
            other => panic!("{other:?}"),
        };
        for (name, shell) in [("bash", Shell::Bash), ("fish", Shell::Fish), ("zsh", Shell::Zsh)] {
            let what = generate(&format!("completions {name}"));
            assert!(matches!(what, Ok(What::Completions { shell: read }) if read == shell), "{name}");
        }
        assert!(matches!(generate("man man1"), Ok(What::Man { dir }) if dir.to_str() == Some("man1")));
        assert!(generate("completions csh").unwrap_err().contains("invalid value 'csh'"));
        assert!(generate("man").unwrap_err().contains("<DIR>"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, expected) in [
            ("deploy chat", "<FILE>"),
            ("deploy chat c.wasm --canary 100%", "`100%` is not a share"),
            ("pin chat --for 10m --off", "cannot be used with"),
            ("pin chat --for soon", "invalid value 'soon'"),
            ("promote", "<APP>"),
            ("reload", "unrecognized subcommand"),
            ("depoy chat", "a similar subcommand exists: 'deploy'"),
        ] {
            let error = module(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
