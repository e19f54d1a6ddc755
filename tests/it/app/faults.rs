//! A module can harm only itself (invariant 4): whatever it does ends one call, with one close code.

use std::fs;
use std::process::Stdio;

use futures_util::FutureExt;
use hassock_tests::{Client, TestDatabase, TestHost, app, binary, guest, refused, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A host with `faults` and `probe` side by side and one database. `limits` is for `faults`, the last app.
async fn host(limits: &str) -> TestHost {
    let grant = "databases.main = \"read-write\"\n";
    let probe = app("probe", &guest("probe"));
    let faults = app("faults", &guest("faults"));
    let database = "[databases.main]\nurl = \"sqlite::memory:\"\nquery_timeout = \"300ms\"\n";
    TestHost::start(&format!("{database}{probe}{grant}{faults}{grant}{limits}")).await
}

/// Connections of both apps that echo all the time, until `running` is false.
struct Bystanders {
    tasks: JoinSet<u64>,
    running: watch::Sender<bool>,
}

impl Bystanders {
    async fn start(host: &TestHost) -> Self {
        let (running, observed) = watch::channel(true);
        let mut tasks = JoinSet::new();
        for number in 0..20 {
            let mut client = host.connect(["/faults", "/probe"][number % 2]).await;
            let observed = observed.clone();
            tasks.spawn(async move {
                let mut pause = tokio::time::interval(std::time::Duration::from_millis(5));
                let mut count = 0;
                while *observed.borrow() {
                    let text = format!("{number}: {count}");
                    assert_eq!(client.ask(text.clone()).await, text);
                    count += 1;
                    pause.tick().await;
                }
                // A client that lost its connection would not get this close code.
                client.socket.close(None).await.unwrap();
                assert_eq!(client.closed().await.code, 1005);
                count
            });
        }
        Self { tasks, running }
    }

    async fn all_are_well(mut self) {
        self.running.send(false).unwrap();
        while let Some(done) = within("a bystander", self.tasks.join_next()).await {
            assert!(done.unwrap() > 0, "a bystander got no answer");
        }
    }
}

/// Invariant 4 for each fault: its connection is closed with its code, clients of the same app and of
/// another one do not notice, and the module works again at once.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_ends_one_connection() {
    let limits = "instances = 8\ncpu_time = \"100ms\"\ncall_timeout = \"300ms\"\nmemory = \"16MiB\"";
    let host = host(&format!("[apps.faults.limits]\n{limits}\n")).await;
    let bystanders = Bystanders::start(&host).await;
    // A panic, the ends of `cpu_time`, `memory`, the stack and `call_timeout`, and an error that is returned.
    for misdeed in ["trap", "spin", "hog", "overflow", "sleep", "error"] {
        // Several times: if a fault broke something permanently, the second time would show it.
        for _ in 0..3 {
            let mut victim = host.connect("/faults").await;
            assert_eq!(victim.ask("well").await, "well");
            victim.send(misdeed).await;
            assert_eq!(victim.closed().await.code, 1011, "{misdeed}");
            assert_eq!(host.connect("/faults").await.ask("fresh").await, "fresh", "after {misdeed}");
        }
    }
    bystanders.all_are_well().await;
}

/// `handler.receive`: an error closes "with the app's `error_close_code`"; a trap is still a 1011.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_has_its_own_code_for_errors() {
    let host = host("error_close_code = 4100\n").await;
    for (misdeed, code) in [("error", 4100), ("trap", 1011)] {
        let mut client = host.connect("/faults").await;
        client.send(misdeed).await;
        let closed = client.closed().await;
        assert_eq!(closed.code, code);
        assert!(!closed.reason.contains("told to"), "what a module says is for the log: {closed:?}");
    }
}

/// Invariant 4: `outbox_bytes` stops a flood of sends. What fitted is delivered, and then the module's close.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_stops_at_the_outbox() {
    let host = host("[apps.faults.limits]\noutbox_bytes = \"100KiB\"\n").await;
    let bystanders = Bystanders::start(&host).await;
    let mut victim = host.connect("/faults").await;
    victim.send("flood").await;
    // A message counts as 64 bytes more than its own.
    let fit = 100 * 1024 / 1064;
    for _ in 0..fit {
        assert_eq!(victim.text().await.len(), 1000);
    }
    let closed = victim.closed().await;
    assert_eq!((closed.code, closed.reason), (3000, format!("{fit} of 1000 bytes each")));
    bystanders.all_are_well().await;
}

/// Invariants 4 and 5: what a module passes to the host in one call is bounded, whatever it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_passes_a_bounded_number_of_bytes() {
    let host = host("").await;
    let bystanders = Bystanders::start(&host).await;
    let mut victim = host.connect("/faults").await;
    victim.send("glut").await;
    assert_eq!(victim.closed().await.code, 1011);
    bystanders.all_are_well().await;
}

/// Invariant 4: a huge result ends that query with one clear error, but not the connection.
async fn a_huge_result_is_an_error(database: TestDatabase) {
    let host = database.serve("faults", "max_connections = 2", "").await;
    let mut victim = host.connect("/faults").await;
    for _ in 0..2 {
        let answer = victim.ask("huge").await;
        assert!(answer.contains("max_rows"), "{answer}");
    }
    assert_eq!(victim.ask("well").await, "well");
}

hassock_tests::for_both_engines!(a_huge_result_is_an_error);

/// `handler.open`: "A trap or a passed deadline here gives the client a 500 or 503, and the connection
/// never was."
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_open_refuses_the_handshake() {
    let host = host("[apps.faults.limits]\ncpu_time = \"100ms\"\ncall_timeout = \"300ms\"\nmemory = \"16MiB\"\n").await;
    let bystanders = Bystanders::start(&host).await;
    let before = host.host.connections();
    for (misdeed, status) in [("trap", 500), ("spin", 503), ("sleep", 503), ("hog", 500), ("overflow", 500)] {
        let (found, body) = refused(&host.address(), &format!("/faults?open={misdeed}"), |_| {}).await;
        assert_eq!(found, status, "{misdeed}");
        assert!(!body.contains("panic") && !body.contains("wasm"), "{misdeed}: {body}");
    }
    assert_eq!(host.host.connections(), before);
    assert_eq!(host.connect("/faults").await.ask("fresh").await, "fresh");
    bystanders.all_are_well().await;
}

/// Invariants 2 and 4: a trap in `closed` harms no client, not even the one that closes.
#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_closed_harms_nobody() {
    let host = host("").await;
    let bystanders = Bystanders::start(&host).await;
    for _ in 0..3 {
        let mut client = host.connect("/faults").await;
        assert_eq!(client.ask("well").await, "well");
        let reason = "trap in closed".into();
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 4000.into(), reason };
        client.socket.close(Some(frame)).await.unwrap();
        assert_eq!(client.closed().await.code, 4000);
        assert_eq!(host.connect("/faults").await.ask("fresh").await, "fresh");
    }
    bystanders.all_are_well().await;
    assert_eq!(host.drain().await, 0, "a connection with a trap in `closed` is still there");
}

/// Connections with calls that all compute without end.
async fn spinners(host: &TestHost, count: usize) -> Vec<Client> {
    // All connect first: later there would be no instance for their `open`.
    let mut spinners = Vec::new();
    for _ in 0..count {
        spinners.push(host.connect("/faults").await);
    }
    for spinner in &mut spinners {
        spinner.send("spin").await;
    }
    spinners
}

/// Invariant 4: more spinners than cores and than instances. Other apps get answers while they all spin.
#[tokio::test(flavor = "multi_thread")]
async fn many_spinners_do_not_stop_other_apps() {
    let limits = "instances = 4\ninstance_wait = \"60s\"\ncpu_time = \"60s\"\ncall_timeout = \"60s\"";
    let host = host(&format!("[apps.faults.limits]\n{limits}\n")).await;
    let mut spinners = spinners(&host, 8).await;
    for round in 0..10 {
        // A new connection each time: accepting must go on as well.
        let mut client = host.connect("/probe").await;
        assert_eq!(client.ask(format!("{round}")).await, format!("{round}"));
    }
    for spinner in &mut spinners {
        assert!(spinner.closed().now_or_never().is_none(), "it spins for longer than this test runs");
    }
}

/// Invariant 4: the same within one app. Its other connections get answers when the spinners' time is over.
#[tokio::test(flavor = "multi_thread")]
async fn many_spinners_stop_their_own_app_only_for_a_while() {
    let limits = "[apps.faults.limits]\ninstances = 2\ninstance_wait = \"25s\"\ncpu_time = \"100ms\"\n";
    let host = host(limits).await;
    let mut other = host.connect("/faults").await;
    let mut spinners = spinners(&host, 6).await;
    assert_eq!(other.ask("served").await, "served");
    for spinner in &mut spinners {
        assert_eq!(spinner.closed().await.code, 1011);
    }
    assert_eq!(other.ask("well").await, "well");
}

/// `instance_wait`: "Then the connection is closed with 1013", and a handshake gets 503.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_app_says_so() {
    let limits = "instances = 1\ninstance_wait = \"50ms\"\ncall_timeout = \"60s\"";
    let host = host(&format!("[apps.faults.limits]\n{limits}\n")).await;
    let (mut first, mut second) = (host.connect("/faults").await, host.connect("/faults").await);
    assert_eq!(second.ask("well").await, "well");
    // The second of them finds the only instance asleep.
    first.send("sleep").await;
    second.send("sleep").await;
    let (loser, winner) = (&mut first, &mut second);
    let code = tokio::select! {
        closed = loser.closed() => closed.code,
        closed = winner.closed() => closed.code,
    };
    assert_eq!(code, 1013);
    let (status, _) = refused(&host.address(), "/faults", |_| {}).await;
    assert_eq!(status, 503);
    assert_eq!(host.connect("/probe").await.ask("elsewhere").await, "elsewhere");
}

/// A `hassock serve` with the module `faults`, its address, and its log as JSON.
async fn daemon(folder: &TempDir) -> (Child, String, Lines<BufReader<ChildStderr>>) {
    let file = folder.path().join("hassock.toml");
    let app = app("faults", &guest("faults"));
    let rest = "databases.main = \"read-only\"\n[apps.faults.limits]\nlog_lines_per_call = 3\nmemory = \"16MiB\"\n\
                [databases.main]\nurl = \"sqlite::memory:\"\n[log]\nformat = \"json\"\n";
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{app}{rest}")).unwrap();
    let mut daemon = Command::new(binary())
        .args(["serve", "--config"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let line = within("the daemon's address", lines.next_line()).await.unwrap().unwrap();
    let log = BufReader::new(daemon.stderr.take().unwrap()).lines();
    (daemon, line.rsplit(' ').next().unwrap().to_owned(), log)
}

/// The next line of the log with a text in its message, and how many lines of a chatterer came before it. The host's
/// own lines, such as that it serves an app, may come at any time.
async fn logged(log: &mut Lines<BufReader<ChildStderr>>, text: &str) -> (Value, usize) {
    let mut before = 0;
    loop {
        let line = within("a line of the log", log.next_line()).await.unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let message = line["message"].as_str().unwrap();
        if message.contains(text) {
            return (line, before);
        }
        before += usize::from(message.starts_with("line "));
    }
}

/// The next line of the log that is a warning or an error.
async fn next_error(log: &mut Lines<BufReader<ChildStderr>>) -> Value {
    loop {
        let (line, _) = logged(log, "").await;
        if ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap()) {
            return line;
        }
    }
}

/// Invariant 4, "one clear error": it names app, version, connection and call, and has the wasm frames.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_logged_with_all_that_a_developer_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, address, mut log) = daemon(&folder).await;
    for (connection, misdeed, message) in [
        (1, "trap", "the module trapped: panicked at faults/src/"),
        (2, "spin", "`cpu_time` = 1s"),
        (3, "error", "told to"),
        (4, "hog", "`memory`"),
    ] {
        let mut client = Client::connect(&address, "/faults").await;
        client.send(misdeed).await;
        assert_eq!(client.closed().await.code, 1011);
        // A panic is this one line: what the standard library prints, and its advice, are no lines of their own.
        let line = next_error(&mut log).await;
        assert!(line["message"].as_str().unwrap().contains(message), "{line}");
        assert_eq!(line["at"].as_str().is_some_and(|at| at.starts_with("faults/src/")), misdeed == "trap", "{line}");
        assert_eq!((&line["level"], &line["app"]), (&json!("ERROR"), &json!("faults")), "{line}");
        assert_eq!((&line["connection"], &line["call"]), (&json!(connection), &json!("receive")), "{line}");
        assert_eq!(line["version"].as_str().map(str::len), Some(12), "{line}");
        if ["trap", "spin"].contains(&misdeed) {
            let frames: Vec<&str> = line["backtrace"].as_str().unwrap().split(" <- ").collect();
            assert!(frames.iter().any(|frame| frame.starts_with("faults.wasm!faults::commit")), "{line}");
            assert!(!frames.iter().any(|frame| frame.contains("!core::") || frame.contains("!std::")), "{line}");
        }
    }
}

/// `log_lines_per_call`: "the rest is counted and left out", and it is not a fault of the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_chatterer_is_cut_short_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, address, mut log) = daemon(&folder).await;
    let mut client = Client::connect(&address, "/faults").await;
    assert_eq!(client.ask("chatter").await, "chattered");
    assert_eq!(client.ask("well").await, "well");
    logged(&mut log, "line 0").await;
    let (line, before) = logged(&mut log, "`log_lines_per_call`").await;
    assert_eq!((before, &line["suppressed"]), (2, &json!(997)), "{line}");
}
