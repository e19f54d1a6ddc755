//! `hassock serve` as an operator sees it: the real binary, its output, its signals, its exit codes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::StreamExt;
use hassock_tests::{Client, Process, app, app_with_database, binary, cache, example, hassock, refused, within};
use serde_json::Value;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::ORIGIN;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// A folder with a config for any free port.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("listen = \"127.0.0.1:0\"\n{config}");
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    folder
}

async fn serving(folder: &TempDir) -> (Process, String) {
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    (process, address)
}

/// The server announces its address on a line of standard output and nothing else there, serves, and on SIGTERM closes
/// every connection with 1001 and ends with 0. Invariant 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_announces_itself_serves_and_ends_well_on_sigterm() {
    ends_well_on("TERM").await;
}

/// The same for Ctrl-C.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_ends_well_on_sigint() {
    ends_well_on("INT").await;
}

async fn ends_well_on(signal: &str) {
    let folder = folder(&app("echo", &example("echo")));
    let (process, address) = serving(&folder).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::connect(&address, "/echo").await);
    }
    for client in &mut clients {
        assert_eq!(client.ask("hello").await, "hello");
    }
    process.signal(signal);
    for mut client in clients {
        assert_eq!(client.closed().await.code, 1001);
    }
    let finished = process.ends().await;
    assert_eq!(finished.stdout, format!("Starting server on {address}\n"));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("stopped"), "{}", finished.stderr);
}

/// A signal works as soon as the announcement is printed, as at any later time, even if the host writes to the log then
/// and the log cannot take more at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_right_after_the_announcement_ends_the_server_well() {
    let folder = folder(&app("echo", &example("echo")));
    // This compiles the module, which the server would otherwise log before it listens.
    assert_eq!(hassock(folder.path(), ["check"]).await.code, Some(0));
    let (mut log, mut filler) = std::io::pipe().unwrap();
    // As much as a pipe holds: the server's first line has to wait until the test reads.
    filler.write_all(&[b'\n'; 65536]).unwrap();
    let mut command = Command::new(binary());
    command.arg("serve").current_dir(folder.path()).env("CACHE_DIRECTORY", cache());
    command.stdout(Stdio::piped()).stderr(filler);
    let process = Process::start_as_is(command);
    process.line("Starting server on ").await;
    process.signal("TERM");
    let reader = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        log.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).trim().to_owned())
    });
    let finished = process.ends().await;
    let log = within("the end of the log", reader).await.unwrap().unwrap();
    assert_eq!((finished.code, finished.signal), (Some(0), None), "{log}");
}

/// A signal between messages: the answers come in order and without a gap up to the close frame. Invariant 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_amid_messages_leaves_no_gap_before_the_close() {
    let folder = folder(&app("echo", &example("echo")));
    let (process, address) = serving(&folder).await;
    let mut client = Client::connect(&address, "/echo").await;
    for number in 0..500 {
        client.send(number.to_string()).await;
    }
    assert_eq!(client.text().await, "0");
    process.signal("TERM");
    let mut expected = 1;
    let close = loop {
        match within("messages", client.socket.next()).await {
            Some(Ok(Message::Text(text))) => assert_eq!(text.as_str(), expected.to_string()),
            Some(Ok(Message::Close(frame))) => break frame,
            other => panic!("{other:?} instead of message {expected} or a close frame"),
        }
        expected += 1;
    };
    assert_eq!(close.map(|frame| u16::from(frame.code)), Some(1001));
    drop(client);
    assert_eq!(process.ends().await.code, Some(0));
}

/// Every line of a log in JSON is an object with the time, the level and the message; the app is a field of its own.
#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_json_log_is_json() {
    let config = format!("log = {{ level = \"debug\", format = \"json\" }}\n{}", app("echo", &example("echo")));
    let folder = folder(&config);
    let (process, address) = serving(&folder).await;
    let mut client = Client::connect(&address, "/echo").await;
    client.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "done".into() })).await.unwrap();
    client.closed().await;
    drop(client);
    process.signal("TERM");
    let log = process.ends().await.stderr;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{log}");
    let about =
        |what: &str| lines.iter().find(|line| line["message"] == what).unwrap_or_else(|| panic!("{what}: {log}"));
    assert_eq!(about("serving")["app"], "echo");
    assert_eq!(about("stopping")["signal"], "SIGTERM");
    assert_eq!((&about("closed")["code"], &about("closed")["reason"]), (&1000.into(), &"done".into()));
}

/// The log in text has no colour codes when it does not go to a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_collected_has_no_colours() {
    let folder = folder(&app("echo", &example("echo")));
    let (process, _) = serving(&folder).await;
    process.signal("TERM");
    let log = process.ends().await.stderr;
    assert!(log.contains("serving") && !log.contains('\u{1b}'), "{log:?}");
}

/// The key `log.level` decides what is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_log_is_quiet() {
    let folder = folder(&format!("log.level = \"error\"\n{}", app("echo", &example("echo"))));
    let (process, address) = serving(&folder).await;
    Client::connect(&address, "/echo").await.close().await;
    process.signal("TERM");
    assert_eq!(process.ends().await.stderr, "");
}

/// An address in use is not a problem of the config: exit code 1, and a message that says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_ends_the_server_with_a_clear_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = format!("listen = \"{address}\"\n{}", app("echo", &example("echo")));
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let finished = hassock(folder.path(), ["serve"]).await;
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stdout, "");
    let message = finished.stderr.trim();
    for words in ["cannot listen on", &address.to_string(), "another program listens there", "change `listen`"] {
        assert!(message.contains(words), "`{words}` is not in: {message}");
    }
}

/// A module that is not there, and a database that does not answer: 78 before anything is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_without_its_module_or_database() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let database = app_with_database("chat", &example("chat"), &format!("mysql://root@{closed}/chat"));
    let module = app("echo", Path::new("nowhere.wasm"));
    for (config, line, key, words) in
        [(database, 3, "databases.main.url", "connect"), (module, 4, "apps.echo.module", "nowhere.wasm")]
    {
        let folder = folder(&config);
        let finished = hassock(folder.path(), ["serve"]).await;
        assert_eq!(finished.code, Some(78), "{}", finished.stderr);
        assert_eq!(finished.stdout, "");
        let expected = format!("hassock.toml:{line}: {key}: ");
        let message = finished.stderr.lines().find_map(|line| line.strip_prefix(&expected));
        assert!(
            message.is_some_and(|message| message.contains(words)),
            "{expected}{words} is not in: {}",
            finished.stderr
        );
    }
}

/// A second server on the same config and port does not wait: it says that the address is taken, and the
/// first goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_port_does_not_disturb_the_first() {
    let folder = folder(&app("echo", &example("echo")));
    let (process, address) = serving(&folder).await;
    let mut client = Client::connect(&address, "/echo").await;
    let config = format!("listen = \"{address}\"\n{}", app("echo", &example("echo")));
    std::fs::write(folder.path().join("second.toml"), config).unwrap();
    assert_eq!(hassock(folder.path(), ["serve", "--config", "second.toml"]).await.code, Some(1));
    assert_eq!(client.ask("still here?").await, "still here?");
    process.signal("TERM");
    assert_eq!(client.closed().await.code, 1001);
    drop(client);
    assert_eq!(process.ends().await.code, Some(0));
}

/// A reload may compile, or wait for a database, for longer than an operator who stops the server wants to wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_server_while_it_reads_its_config_again() {
    let config = app("echo", &example("echo"));
    let folder = folder(&config);
    let (process, address) = serving(&folder).await;
    let mut client = Client::connect(&address, "/echo").await;
    // A server that accepts, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mysql://root@{}/main", silent.local_addr().unwrap());
    let database =
        format!("databases.main = \"read-only\"\n[databases.main]\nurl = \"{url}\"\nconnect_timeout = \"1h\"\n");
    let config = format!("listen = \"127.0.0.1:0\"\n{config}{database}");
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    process.signal("HUP");
    let _asked = within("the reload's connection", silent.accept()).await.unwrap();
    process.signal("TERM");
    assert_eq!(client.closed().await.code, 1001);
    let finished = process.ends().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

/// Services often start with a soft limit of 1,024 files, which is fewer than `max_connections`.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised() {
    let folder = folder(&app("echo", &example("echo")));
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64 && ulimit -Hn 1000 && exec \"$0\" serve"]).arg(binary());
    command.current_dir(folder.path()).env("CACHE_DIRECTORY", cache());
    let process = Process::start(command);
    process.complains("LimitNOFILE").await;
    let address = process.line("Starting server on ").await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(Client::connect(&address, "/echo").await);
    }
    assert_eq!(clients[99].ask("hello").await, "hello");
    drop(clients);
    process.signal("TERM");
    let finished = process.ends().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

/// The reader of the log may stop reading. The host and its clients do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let app = app("echo", &example("echo"));
    let folder = folder(&format!("{app}\n[log]\nlevel = \"debug\"\nbuffered_lines = 100\n"));
    // As much as a pipe holds.
    let (log, mut filler) = std::io::pipe().unwrap();
    filler.write_all(&[b'\n'; 65536]).unwrap();
    let mut command = Command::new(binary());
    command.arg("serve").current_dir(folder.path()).env("CACHE_DIRECTORY", cache());
    command.stdout(Stdio::piped()).stderr(filler);
    let process = Process::start_as_is(command);
    let address = process.line("Starting server on ").await;
    // Each end is a line.
    for _ in 0..300 {
        Client::connect(&address, "/echo").await.close().await;
    }
    assert_eq!(Client::connect(&address, "/echo").await.ask("hello").await, "hello");
    process.signal("TERM");
    assert_eq!(process.ends().await.code, Some(0));
    drop(log);
}

/// `log.lines_per_second`: each refused page is a line, and anybody can send requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_does_not_fill_the_log() {
    let app = app("echo", &example("echo"));
    let folder = folder(&format!("{app}\n[log]\nlines_per_second = 5\n"));
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    for _ in 0..500 {
        let foreign = |request: &mut Request| {
            drop(request.headers_mut().insert(ORIGIN, HeaderValue::from_static("https://x.test")))
        };
        assert_eq!(refused(&address, "/echo", foreign).await.0, 403);
    }
    process.complains("lines were left out").await;
    process.signal("TERM");
    let log = process.ends().await.stderr;
    let lines = log.matches("refused: pages of this origin").count();
    assert!((5..400).contains(&lines), "{lines} lines");
}
