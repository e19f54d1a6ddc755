//! Reloads under traffic, and by a signal.

use std::fs;
use std::path::Path;

use hassock_tests::{
    Client, Marked, Process, Silent, Talkers, TestHost, app, eventually, marked, module_file, version_of, within,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Invariant 7: connections that talk all the time, and others that come and go, do not notice fifty reloads, each
/// with another setup and every fifth with another module.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_lose_and_reorder_nothing() {
    let served = Marked::start("v0", "").await;
    let talkers = Talkers::start(served.connect_all(20).await);
    let silent = Silent::start(served.connect_all(20).await);
    let (running, observed) = watch::channel(true);
    let address = served.host.address();
    let passers_by = tokio::spawn(async move {
        while *observed.borrow() {
            let mut client = Client::connect(&address, "/marked").await;
            assert_eq!(client.ask("hello").await.split_once(' ').unwrap().1, "hello");
            client.close().await;
        }
    });
    for round in 1..=50 {
        if round % 5 == 0 {
            fs::write(served.file.path(), marked(&format!("v{round}"))).unwrap();
        }
        let limits = format!(
            "[apps.marked.limits]\ninstances = {}\n[limits]\nmax_connections = {}\n",
            1 + round % 3,
            90 + round
        );
        let config = format!("{}settings.round = {round}\n{limits}", app("marked", served.file.path()));
        let report = served.host.reload(&config).await.unwrap();
        assert_eq!(report.changes.len(), if round % 5 == 0 { 3 } else { 2 }, "{report:?}");
    }
    running.send_replace(false);
    within("the passers-by", passers_by).await.unwrap();
    for mut talked in talkers.stop().await {
        assert_eq!(talked.closed, None);
        assert!(talked.answers > 0);
        assert_eq!(talked.client.served_by().await, "v50");
    }
    for mut client in silent.stop().await {
        assert_eq!(client.ask("still here").await, "v50 still here");
    }
    assert_eq!(served.host.host.control().report().len(), 1);
}

/// A connection that arrives while an app goes is refused, or accepted and closed like those before it. None is left
/// behind in an app that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_arrives_while_an_app_goes_is_not_left_behind() {
    let (one, two) = (module_file(&marked("one")), module_file(&marked("two")));
    let alone = app("one", one.path());
    let both = format!("{alone}{}", app("two", two.path()));
    let host = TestHost::start(&alone).await;
    for _ in 0..20 {
        host.reload(&both).await.unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let address = host.address();
            tasks.spawn(async move {
                let mut clients = Vec::new();
                while let Ok(client) = Client::with(&address, "/two", |_| {}).await {
                    clients.push(client);
                }
                for mut client in clients {
                    assert_eq!(client.closed().await.code, 1001);
                }
            });
        }
        eventually("some connections", || async { host.host.connections() > 16 }).await;
        host.reload(&alone).await.unwrap();
        tasks.join_all().await;
    }
    assert_eq!(host.drain().await, 0);
}

/// A folder with a config for any free port and a log in JSON.
struct Daemon {
    folder: TempDir,
}

impl Daemon {
    fn write(&self, config: &str) {
        let head = "listen = \"127.0.0.1:0\"\nwatch = false\nlog.format = \"json\"\n";
        fs::write(self.folder.path().join("hassock.toml"), format!("{head}{config}")).unwrap();
    }

    async fn start(config: &str) -> (Self, Process, String) {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write(config);
        let process = Process::hassock(this.folder.path(), ["serve"]);
        let address = process.line("Starting server on ").await;
        (this, process, address)
    }
}

/// On SIGHUP the real program reads its config again: a good one is served, and the log says so; a bad one is one line
/// of the log with all problems, and the server goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reloads_the_config() {
    let (one, two) = (module_file(&marked("one")), module_file(&marked("two")));
    let both = format!("{}{}", app("one", one.path()), app("two", two.path()));
    let (daemon, process, address) = Daemon::start(&app("one", one.path())).await;
    let mut client = Client::connect(&address, "/one").await;

    daemon.write(&both);
    process.signal("HUP");
    process.complains("config: the app `two` is new, at /two, with version ").await;
    assert_eq!(Client::connect(&address, "/two").await.served_by().await, "two");

    let bad = [
        // An unknown key and a value of the wrong type; then files that are only missed when they are read.
        format!("{both}colour = 1\nlimits.instances = \"many\"\n"),
        format!("{both}{}{}", app("three", Path::new("nowhere.wasm")), app("four", Path::new("nor-here.wasm"))),
        "[apps".to_owned(),
    ];
    for (times, config) in (1..).zip(&bad) {
        daemon.write(config);
        process.signal("HUP");
        process.complains_times("the config was not applied, everything goes on as before: ", times).await;
    }
    fs::remove_file(daemon.folder.path().join("hassock.toml")).unwrap();
    process.signal("HUP");
    process.complains("cannot read the config").await;
    assert_eq!(client.served_by().await, "one");

    daemon.write(&both);
    process.signal("HUP");
    process.complains("the config was read again and says the same").await;
    fs::write(one.path(), marked("three")).unwrap();
    process.signal("HUP");
    process.complains(&format!("config: the app `one` serves version {}", version_of("three"))).await;
    assert_eq!(client.served_by().await, "three");

    process.signal("TERM");
    assert_eq!(client.closed().await.code, 1001);
    let finished = process.ends().await;
    assert_eq!((finished.code, finished.stdout), (Some(0), format!("Starting server on {address}\n")));
    let lines: Vec<Value> = finished.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let errors = lines.iter().filter(|line| line["level"] == "ERROR").map(|line| line["message"].as_str().unwrap());
    let errors: Vec<_> = errors.collect();
    let expected: [&[&str]; 4] = [
        &["hassock.toml:10: apps.two.colour: unknown key", "hassock.toml:11: apps.two.limits.instances: "],
        &["apps.three.module: cannot read the module", "apps.four.module: cannot read the module"],
        &["hassock.toml:4: "],
        &["hassock.toml: cannot read the config"],
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(expected.iter().all(|words| error.contains(words)), "{expected:?}: {error}");
    }
}
