//! The command line of the real binary: help, and `check` with everything that can be wrong.

mod build;
mod config;
mod dev;
mod generate;
mod log;
mod module;
mod new;
mod publish;
mod serve;
mod stopping;
mod tail;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use hassock_tests::{Finished, MariaDb, Process, app, app_with_database, binary, example, hassock};
use serde_json::Value;
use tempfile::TempDir;

fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    folder
}

async fn check(config: &str) -> Finished {
    hassock(folder(config).path(), ["check"]).await
}

/// The problems that `check` finds, as `line: key: message`.
async fn problems(config: &str) -> Vec<String> {
    let finished = check(config).await;
    assert_eq!(finished.code, Some(78), "{finished:?}");
    let line = |line: &str| line.strip_prefix("hassock.toml:").expect("file and line").to_owned();
    finished.stdout.lines().map(line).collect()
}

/// Each help text says what the command does, names its arguments, and shows an example.
#[tokio::test(flavor = "multi_thread")]
async fn help_tells_a_newcomer_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let expected: [(&[&str], &[&str]); 6] = [
        (&["--help"], &["dev", "build", "serve", "check", "WebAssembly", "hassock new hello", "hassock help COMMAND"]),
        (&["dev", "--help"], &["[DIR]", "--listen <ADDR>", "hassock.toml", "open connections stay open", "Examples:"]),
        (&["build", "--help"], &["[DIR]", "--json", "wasm32-wasip2", "standard output", "Examples:"]),
        (&["serve", "--help"], &["--config <FILE>", "SIGTERM", "1001", "78", "Starting server on", "Example:"]),
        (&["config", "--help"], &["--config <FILE>", "--json", "hidden", "78", "Examples:"]),
        (&["check", "--help"], &["--config <FILE>", "--json", "line number", "78", "Example:"]),
    ];
    for (arguments, words) in expected {
        let finished = hassock(folder.path(), arguments).await;
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        for word in words {
            assert!(finished.stdout.contains(word), "`{word}` is not in {arguments:?}:\n{}", finished.stdout);
        }
        // `hassock help dev` is the same as `hassock dev --help`.
        let [command @ .., _] = arguments else { panic!("{arguments:?}") };
        let help = hassock(folder.path(), [&["help"], command].concat()).await;
        assert_eq!((help.code, help.stdout, help.stderr.as_str()), (Some(0), finished.stdout, ""), "{arguments:?}");
    }
    let version = hassock(folder.path(), ["--version"]).await.stdout;
    assert_eq!(version.trim().to_lowercase(), hassock::VERSION.to_lowercase());
}

/// `hassock` alone is an error that shows every command with a line about it, and what to type first.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_the_help_teaches_the_first_steps() {
    let folder = tempfile::tempdir().unwrap();
    let finished = hassock(folder.path(), [""; 0]).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{}", finished.stderr);
    let lines = [
        "  new       Create an app",
        "  dev       Build and serve an app",
        "  test      Play transcripts",
        "  build     Build the modules",
        "  serve     Serve the apps",
        "  check     Report everything",
        "  module    See and change which versions",
        "  record    Record the traffic",
        "  publish   Publish a message",
        "  tail      Print each message",
        "  generate  Print completions",
        "  help      Print",
        "  hassock new hello       create an app",
        "  hassock dev             build and serve it",
    ];
    for line in lines {
        assert!(
            finished.stderr.lines().any(|found| found.starts_with(line)),
            "`{line}` is not in:\n{}",
            finished.stderr
        );
    }
}

/// Wrong usage and a wrong config have different exit codes, and the message says what would be right.
#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_command_or_option_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let expected: [(&[&str], &str); 8] = [
        (&[], "Usage: hassock <COMMAND>"),
        (&["server"], "a similar subcommand exists: 'serve'"),
        (&["tset"], "a similar subcommand exists: 'test'"),
        (&["help", "bulid"], "unrecognized subcommand 'bulid'"),
        (&["module", "lst"], "a similar subcommand exists: 'list'"),
        (&["serve", "--conf", "x"], "--config"),
        (&["new"], "<DIR>"),
        (&["dev", ".", "--listen", "everywhere"], "`everywhere` is not an address; write it as \"127.0.0.1:8080\""),
    ];
    for (arguments, words) in expected {
        let finished = hassock(folder.path(), arguments).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(words), "`{words}` is not in {arguments:?}:\n{}", finished.stderr);
    }
}

/// An address of this machine needs no IP address.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_lack_its_host() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for listen in [format!("\"localhost:{port}\""), format!("\":{port}\""), format!("\"{port}\""), port.to_string()] {
        let folder = folder(&format!("listen = {listen}\n{}", app("echo", &example("echo"))));
        let process = Process::hassock(folder.path(), ["serve"]);
        assert_eq!(process.line("Starting server on ").await, format!("127.0.0.1:{port}"), "{listen}");
        process.signal("TERM");
        assert_eq!(process.ends().await.code, Some(0));
    }
}

/// If nothing is wrong, the exit code is 0, and the JSON has no errors.
#[tokio::test(flavor = "multi_thread")]
async fn a_good_config_has_no_problems() {
    let folder = folder(&app_with_database("chat", &example("chat"), "sqlite::memory:"));
    let finished = hassock(folder.path(), ["check"]).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "no problems\n"), "{}", finished.stderr);
    let finished = hassock(folder.path(), ["check", "--json"]).await;
    let list: Vec<Value> = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    assert!(list.iter().all(|entry| entry["severity"] == "warning"), "{list:?}");
}

const BAD: &str = r#"listen = "nowhere"
tset_page = true

[databases.main]
url = "postgres://somewhere"
max_connections = 0

[apps.one]
path = "one"
limits = { cpu_time = "soon" }

[apps.two]
path = "/two"
module = "two.wasm"
databases = { main = "write-only" }
error_close_code = 1000
"#;

/// Everything that is wrong with a config is reported at once, each with file, line, key and what to do.
#[tokio::test(flavor = "multi_thread")]
async fn all_problems_of_a_config_are_reported_at_once() {
    let found = problems(BAD).await;
    let expected = [
        ("1: listen: ", "`nowhere` is not an address; write it as"),
        ("2: tset_page: ", "unknown key `tset_page`"),
        ("5: databases.main.url: ", "`mysql://`"),
        ("6: databases.main.max_connections: ", "at least 1"),
        ("8: apps.one.module: ", "missing"),
        ("9: apps.one.path: ", "begins with `/`"),
        ("10: apps.one.limits.cpu_time: ", "`soon`"),
        ("15: apps.two.databases.main: ", "`read-write`"),
        ("16: apps.two.error_close_code: ", "1000"),
    ];
    for (place, words) in expected {
        let line = found.iter().find(|line| line.starts_with(place));
        assert!(line.is_some_and(|line| line.contains(words)), "`{place}…{words}` is not in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

/// `check --json` gives the same problems to a program, and `serve` refuses the same config with the same words.
#[tokio::test(flavor = "multi_thread")]
async fn problems_are_the_same_as_json_and_from_serve() {
    let folder = folder(BAD);
    let lines = hassock(folder.path(), ["check"]).await;
    let json = hassock(folder.path(), ["check", "--json"]).await;
    assert_eq!(json.code, Some(78));
    let list: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let text = |key: &str, problem: &Value| problem[key].as_str().unwrap().to_owned();
    let line = |problem: &Value| {
        let (file, key, message) = (text("file", problem), text("key", problem), text("message", problem));
        format!("{file}:{}: {key}: {message}\n", problem["line"].as_u64().unwrap())
    };
    assert_eq!(list.iter().map(line).collect::<String>(), lines.stdout);
    let serve = hassock(folder.path(), ["serve"]).await;
    assert_eq!((serve.code, serve.stdout.as_str(), serve.stderr), (Some(78), "", lines.stdout));
}

/// The message about a mistyped key names the keys that exist.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_names_the_accepted_keys() {
    let found = problems("[apps.echo]\npath = \"/echo\"\nmodul = \"echo.wasm\"\n").await;
    let unknown = found.iter().find(|line| line.starts_with("3: apps.echo.modul: ")).expect("the unknown key");
    for key in ["`modul`", "`path`", "`module`", "`build`", "`databases`", "`origins`", "`settings`", "`limits`"] {
        assert!(unknown.contains(key), "{key} is not in {unknown}");
    }
}

/// For a file that is not TOML, the first error is reported with its line.
#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_has_its_line() {
    let found = problems("listen = \"127.0.0.1:0\"\n[apps.echo\npath = \"/echo\"\n").await;
    assert!(found.first().is_some_and(|line| line.starts_with("2: ")), "{found:#?}");
}

/// `${VARIABLE}` comes from the environment; if it is not set, the message names it and its key.
#[tokio::test(flavor = "multi_thread")]
async fn variables_come_from_the_environment() {
    let server = MariaDb::shared().await.database().await;
    let (before, port) = server.rsplit_once("127.0.0.1:").unwrap();
    let url = format!("{before}127.0.0.1:${{HASSOCK_TEST_PORT}}/{}", port.rsplit_once('/').unwrap().1);
    let folder = folder(&app_with_database("chat", &example("chat"), &url));
    let missing = hassock(folder.path(), ["check"]).await;
    assert_eq!(missing.code, Some(78));
    let expected = "hassock.toml:2: databases.main.url: the environment variable `HASSOCK_TEST_PORT` is not set";
    assert!(missing.stdout.starts_with(expected), "{}", missing.stdout);
    assert_eq!(missing.stdout.lines().count(), 1, "{}", missing.stdout);
    let mut command = Command::new(binary());
    command.arg("check").env("HASSOCK_TEST_PORT", port.split_once('/').unwrap().0).current_dir(folder.path());
    let finished = Process::start(command).ends().await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "no problems\n"));
}

/// What the config refers to is checked too, all of it: a database that is down, a module that does not exist
/// and a file that is not a component are three problems of one report.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_config_refers_to_is_checked_too() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let apps = [app("one", Path::new("nowhere.wasm")), app("two", Path::new("hassock.toml"))].concat();
    let found = problems(&format!("[databases.main]\nurl = \"mysql://root:secret@{closed}/x\"\n{apps}")).await;
    let [database, missing, no_component] = found.as_slice() else { panic!("{found:#?}") };
    assert!(database.starts_with("2: databases.main.url: "), "{database}");
    assert!(database.contains("connect") && !database.contains("secret"), "{database}");
    assert!(missing.starts_with("5: apps.one.module: ") && missing.contains("nowhere.wasm"), "{missing}");
    assert!(missing.contains("No such file"), "{missing}");
    assert!(no_component.starts_with("8: apps.two.module: "), "{no_component}");
    assert!(no_component.contains("is not WebAssembly"), "{no_component}");
}

/// A module that needs a database that the config does not grant is refused before any traffic. Invariant 6.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_without_its_grant_is_refused() {
    let found = problems(&app("chat", &example("chat"))).await;
    let [refused] = found.as_slice() else { panic!("{found:#?}") };
    assert!(refused.starts_with("3: apps.chat.module: ") && refused.contains("sql"), "{refused}");
}

/// Without a config there is nothing to check: 78, and the file that was looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_config_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, file) in [
        (&["serve"] as &[&str], "hassock.toml"),
        (&["check"], "hassock.toml"),
        (&["check", "--json"], "hassock.toml"),
        (&["serve", "--config", "no/such.toml"], "no/such.toml"),
        (&["build", "."], "./hassock.toml"),
        (&["build"], "./hassock.toml"),
        (&["dev"], "./hassock.toml"),
        (&["dev", "nowhere"], "nowhere/hassock.toml"),
    ] {
        let finished = hassock(folder.path(), arguments).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(78), ""), "{arguments:?}");
        assert!(finished.stderr.starts_with(&format!("{file}: cannot read the config: ")), "{}", finished.stderr);
        assert!(finished.stderr.contains("No such file"), "{}", finished.stderr);
    }
}
