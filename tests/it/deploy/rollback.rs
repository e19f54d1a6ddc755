//! Versions that are taken back: by the host itself when too many of their calls fail, and by an operator.

use std::fs;

use hassock::deploy::{DeployError, Rollout, VersionStatus};
use hassock_tests::{
    Client, Closed, Marked, Process, Talkers, app, eventually, guest, marked, module_file, refused, version_of,
};
use serde_json::Value;

/// Judge after few calls.
const SOON: &str = "[apps.marked.rollback]\nmin_calls = 10\n";

/// Fails at each third message.
const BAD: &str = "v2 third-traps";

/// The close that a client gets when a call traps in the version with this mark.
fn trapped(mark: &str) -> Closed {
    Closed { code: 1011, reason: format!("the application failed (version {})", version_of(mark)) }
}

/// Send a message that traps, on a new connection each time, until the version with this mark is taken back, but at
/// most `most` times. Returns how many trapped.
async fn trap(marked: &Marked, mark: &str, most: usize) -> usize {
    for trapped_before in 0..most {
        if marked.version(mark).state == VersionStatus::RolledBack {
            return trapped_before;
        }
        assert_eq!(marked.connect().await.try_ask("3").await, Err(trapped(mark)));
    }
    most
}

/// A version that fails too often is taken back by the host: clients see the closes of the calls that failed,
/// which name it, and nothing else. Invariants 4 and 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_traps_is_taken_back_and_only_failed_calls_are_noticed() {
    let marked = Marked::start("v1", SOON).await;
    let silent = marked.connect_all(20).await;
    let talkers = Talkers::start(marked.connect_all(60).await);
    assert_eq!(marked.deploy(BAD).await.state, VersionStatus::Serving);
    eventually("the rollback", || async { marked.version(BAD).state == VersionStatus::RolledBack }).await;
    marked.serves(BAD, 0).await;
    let mut closes = 0;
    for mut talked in talkers.stop().await {
        match talked.closed {
            Some(closed) => {
                assert_eq!(closed, trapped(BAD));
                closes += 1;
            }
            None => assert_eq!(talked.client.ask("3").await, "v1 3", "after {:?}", talked.names),
        }
    }
    for mut client in silent {
        assert_eq!(client.ask("3").await, "v1 3");
    }
    assert_eq!(marked.connect().await.ask("3").await, "v1 3");
    let version = marked.version(BAD);
    assert_eq!(closes, version.failures);
    assert!((1..60).contains(&closes), "{closes} of 60 were closed");
    let reason = version.reason.unwrap();
    assert!(reason.ends_with(" calls within 30s failed, more than `rollback.failures` = 10%"), "{reason}");
    let report = marked.host.report("marked");
    assert_eq!((report.counts.automatic_rollbacks, report.counts.operator_rollbacks), (1, 0));
    assert_eq!(marked.host.serving("marked"), version_of("v1"));
}

/// The same for a canary: connections outside its share never notice it.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_traps_is_taken_back_and_the_rest_never_notices() {
    let marked = Marked::start("v1", SOON).await;
    let mut clients = marked.connect_all(60).await;
    // The same connections will be in the share of the bad one.
    marked.canary("healthy", "40%").await;
    let mut chosen = Vec::new();
    for client in &mut clients {
        chosen.push(client.served_by().await == "healthy");
    }
    marked.roll_back().unwrap();
    let talkers = Talkers::start(clients);
    let bad = "v2 all-trap";
    marked.canary(bad, "40%").await;
    eventually("the rollback", || async { marked.version(bad).state == VersionStatus::RolledBack }).await;
    marked.serves(bad, 0).await;
    let talked = talkers.stop().await;
    for (talked, chosen) in talked.iter().zip(chosen) {
        match &talked.closed {
            None => assert_eq!(talked.names, ["v1"]),
            Some(closed) => assert!(chosen && *closed == trapped(bad), "{closed:?}"),
        }
        assert!(talked.names.iter().all(|name| name == "v1"), "{:?}", talked.names);
    }
    let closes = talked.iter().filter(|talked| talked.closed.is_some()).count();
    assert_eq!(closes as u64, marked.version(bad).failures);
    assert!(closes > 0);
    assert_eq!(marked.host.report("marked").counts.automatic_rollbacks, 1);
    assert_eq!(marked.version("v1").failures, 0);
}

/// "trap, or run into a deadline or the memory limit" counts; an error that the module returned "is an answer".
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_memory_count_and_returned_errors_do_not() {
    let limits = "[apps.marked.limits]\ncpu_time = \"100ms\"\ncall_timeout = \"300ms\"\nmemory = \"16MiB\"\n";
    let rollback = "[apps.marked.rollback]\nmin_calls = 6\nfailures = \"20%\"\n";
    let database = "[databases.main]\nurl = \"sqlite::memory:\"\n";
    let more = format!("databases.main = \"read-write\"\n{limits}{rollback}{database}");
    let marked = Marked::start("v1", &more).await;
    let faults = fs::read(guest("faults")).unwrap();
    for (number, misdeed) in (0..).zip(["trap", "spin", "sleep", "hog", "overflow", "error"]) {
        // A custom section that is not used makes it another version.
        let bytes = [&faults[..], &[0, 3, 1, b'v', number]].concat();
        let bad = marked.try_deploy(&bytes, Rollout::Full).await.unwrap().version;
        let standing = || {
            let report = marked.host.report("marked");
            let version = report.versions.into_iter().find(|version| version.version == bad).unwrap();
            (version.state, version.failures)
        };
        let mut closes = 0;
        while closes < 12 && standing().0 == VersionStatus::Serving {
            let closed = marked.connect().await.try_ask(misdeed).await.unwrap_err();
            assert!(
                closed.code == 1011 && closed.reason.contains(&format!("(version {bad})")),
                "{misdeed}: {closed:?}"
            );
            closes += 1;
        }
        let expected =
            if misdeed == "error" { (VersionStatus::Serving, 0) } else { (VersionStatus::RolledBack, closes) };
        assert_eq!(standing(), expected, "{misdeed}");
    }
    assert_eq!(marked.host.report("marked").counts.automatic_rollbacks, 5);
}

/// An `open` that fails counts too: clients get 500, which names the version, until the one before it is back.
#[tokio::test(flavor = "multi_thread")]
async fn failing_opens_count() {
    let marked = Marked::start("v1", SOON).await;
    let mut open_before = marked.connect().await;
    let bad = "v2 open-trap";
    marked.deploy(bad).await;
    let mut refusals = 0;
    while marked.version(bad).state == VersionStatus::Serving {
        let (status, body) = refused(&marked.host.address(), "/marked", |_| {}).await;
        assert_eq!((status, body), (500, format!("the application failed (version {})\n", version_of(bad))));
        refusals += 1;
        assert!(refusals <= 10, "it is not taken back");
    }
    assert_eq!(marked.version(bad).failures, refusals);
    assert_eq!(marked.connect().await.served_by().await, "v1");
    assert_eq!(open_before.served_by().await, "v1");
}

/// "Fewer calls than this within `window` say nothing."
#[tokio::test(flavor = "multi_thread")]
async fn a_few_failures_say_nothing() {
    let marked = Marked::start("v1", "[apps.marked.rollback]\nmin_calls = 1000\n").await;
    marked.deploy(BAD).await;
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    assert_eq!(marked.version(BAD).state, VersionStatus::Serving);
}

/// Up to `failures` of the calls may fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_failures_is_tolerated() {
    let marked = Marked::start("v1", "[apps.marked.rollback]\nmin_calls = 10\nfailures = \"50%\"\n").await;
    marked.deploy(BAD).await;
    // Of the three calls of each connection, `open`, `receive` and `closed`, one fails.
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    assert_eq!(marked.version(BAD).state, VersionStatus::Serving);
}

/// "For so long a version counts as new", and later it is not taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_new_stays() {
    let marked = Marked::start("v1", &format!("{SOON}watch_for = \"900ms\"\n")).await;
    marked.deploy(BAD).await;
    eventually("its second second", || async { marked.version(BAD).age_seconds >= 1 }).await;
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    assert_eq!(marked.host.serving("marked"), version_of(BAD));
    assert_eq!(marked.host.report("marked").counts.automatic_rollbacks, 0);
}

/// `watch_for`: "0 switches the rollback off", for canaries too.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_watch_nothing_is_taken_back() {
    let marked = Marked::start("v1", &format!("{SOON}watch_for = \"0s\"\n")).await;
    marked.deploy(BAD).await;
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    marked.deploy("v1").await;
    marked.canary(BAD, "99.99%").await;
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    marked.promote().unwrap();
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    assert_eq!(marked.host.serving("marked"), version_of(BAD));
}

/// There is no version before the first one, and a bad one is better than none.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_version_of_a_host_is_never_taken_back() {
    let marked = Marked::start(BAD, SOON).await;
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    let error = marked.roll_back().unwrap_err();
    assert!(matches!(error, DeployError::NoPrevious { .. }), "{error}");
    assert!(error.to_string().contains("`marked` has no version to go back to"), "{error}");
    assert_eq!(marked.version(BAD).state, VersionStatus::Serving);
    // Nor is it taken back after a canary in between.
    marked.canary("v2", "1%").await;
    marked.deploy(BAD).await;
    assert_eq!(trap(&marked, BAD, 20).await, 20);
    assert_eq!(marked.host.serving("marked"), version_of(BAD));
}

/// An operator goes back one version at a time, to the first.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_goes_back_one_version_at_a_time() {
    let marked = Marked::start("v1", "").await;
    let mut client = marked.connect().await;
    for name in ["v2", "v3"] {
        let outcome = marked.deploy(name).await;
        assert!(
            outcome.notes.iter().any(|note| note.contains("a restart serves the other one")),
            "{:?}",
            outcome.notes
        );
        assert_eq!(client.served_by().await, name);
    }
    for (from, to) in [("v3", "v2"), ("v2", "v1")] {
        let outcome = marked.roll_back().unwrap();
        assert_eq!((outcome.version, outcome.previous), (version_of(to), Some(version_of(from))));
        assert_eq!((outcome.state, outcome.notes.is_empty()), (VersionStatus::Serving, to == "v1"));
        assert_eq!(client.served_by().await, to);
        assert_eq!(marked.connect().await.served_by().await, to);
        let version = marked.version(from);
        assert_eq!(
            (version.state, version.reason.as_deref()),
            (VersionStatus::RolledBack, Some("an operator took it back"))
        );
    }
    for _ in 0..2 {
        assert!(matches!(marked.roll_back(), Err(DeployError::NoPrevious { .. })));
        assert_eq!(client.served_by().await, "v1");
    }
    let counts = marked.host.report("marked").counts;
    assert_eq!((counts.operator_rollbacks, counts.automatic_rollbacks), (2, 0));
}

/// No rollback, by the host or by an operator, goes back to a version that was taken back by either.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_taken_back_is_not_returned_to() {
    let marked = Marked::start("v1", SOON).await;
    marked.deploy(BAD).await;
    trap(&marked, BAD, 20).await;
    assert_eq!(marked.host.serving("marked"), version_of("v1"));
    marked.deploy("v3").await;
    assert_eq!(marked.roll_back().unwrap().version, version_of("v1"));
    marked.deploy("v4 third-traps").await;
    trap(&marked, "v4 third-traps", 20).await;
    assert_eq!(marked.host.serving("marked"), version_of("v1"));
    assert!(matches!(marked.roll_back(), Err(DeployError::NoPrevious { .. })));
}

/// `keep_versions`: bad versions in a row do not push out the good one.
#[tokio::test(flavor = "multi_thread")]
async fn bad_versions_in_a_row_are_all_taken_back() {
    let marked = Marked::start("v1", &format!("keep_versions = 1\n{SOON}")).await;
    for number in 2..6 {
        let bad = format!("v{number} third-traps");
        marked.deploy(&bad).await;
        trap(&marked, &bad, 20).await;
        assert_eq!(marked.host.serving("marked"), version_of("v1"), "{bad}");
    }
    assert_eq!(marked.host.report("marked").counts.automatic_rollbacks, 4);
}

/// Bad bytes may be deployed again by hand, and are watched again, as if for the first time.
#[tokio::test(flavor = "multi_thread")]
async fn bad_bytes_may_be_deployed_again_and_are_watched_again() {
    let marked = Marked::start("v1", SOON).await;
    for round in 1..=3 {
        let outcome = marked.deploy(BAD).await;
        assert_eq!((outcome.version, outcome.state), (version_of(BAD), VersionStatus::Serving));
        let trapped = trap(&marked, BAD, 20).await;
        assert!((2..20).contains(&trapped), "{trapped} calls trapped in round {round}");
        assert_eq!(marked.host.serving("marked"), version_of("v1"));
        let report = marked.host.report("marked");
        assert_eq!((report.counts.deploys, report.counts.automatic_rollbacks), (round, round));
        assert_eq!(report.versions.len(), 2, "{report:?}");
    }
}

/// Close code 1012: a connection was opened in the version that was taken back, and the one before cannot read its
/// attachment. All others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_no_version_can_serve_is_closed_with_1012() {
    let marked = Marked::start("v1 migrate-error", "").await;
    let mut old = marked.connect().await;
    marked.deploy("v2").await;
    let mut new = marked.connect().await;
    assert_eq!((old.served_by().await, new.served_by().await), ("v2".to_owned(), "v2".to_owned()));
    marked.roll_back().unwrap();
    let closed = new.closed().await;
    assert!(closed.code == 1012 && closed.reason.contains("rolled back"), "{closed:?}");
    assert_eq!(old.served_by().await, "v1");
}

/// A rollback is one line of the log, an error that names both versions; each failed call before it is a line too.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_one_error_in_the_log() {
    let module = module_file(&marked("v1"));
    let folder = tempfile::tempdir().unwrap();
    let head = "listen = \"127.0.0.1:0\"\nwatch = false\nlog.format = \"json\"\n";
    let config = format!("{head}{}{SOON}", app("marked", module.path()));
    fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    let (v1, bad) = (version_of("v1"), version_of(BAD));
    fs::write(module.path(), marked(BAD)).unwrap();
    process.signal("HUP");
    process.complains(&format!("serves version {bad}")).await;
    let mut traps = 0;
    while Client::connect(&address, "/marked").await.try_ask("3").await != Ok("v1 3".to_owned()) {
        traps += 1;
        assert!(traps < 20, "it is not taken back");
    }
    process.signal("TERM");
    let log = process.ends().await.stderr;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let errors = || lines.iter().filter(|line| line["level"] == "ERROR");
    let loud: Vec<_> = errors().filter(|line| line["message"].as_str().unwrap().contains("ROLLED BACK")).collect();
    let [line] = loud[..] else { panic!("{log}") };
    assert_eq!((&line["app"], &line["version"], &line["serving"]), (&"marked".into(), &bad.clone().into(), &v1.into()));
    assert!(line["message"].as_str().unwrap().contains("more than `rollback.failures` = 10%"), "{line}");
    let failed = errors().filter(|line| line["call"] == "receive" && line["version"] == bad.as_str());
    assert_eq!(failed.count(), traps, "{log}");
    assert_eq!(lines.iter().filter(|line| line["message"].as_str().unwrap().contains("ROLLED BACK")).count(), 1);
}
