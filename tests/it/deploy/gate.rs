//! The gate before traffic (invariants 6 and 7): if a module does not get through it, the serving version goes on.

use std::fs;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hassock::deploy::{Rollout, VersionStatus};
use hassock_tests::{TestDatabase, TestHost, app, eventually, example, for_both_engines, guest, hassock, marked};
use serde_json::json;

/// Long enough for `probe` and short enough for a test; `memory` is more than any module needs to begin with.
const LIMITS: &str = "instances = 1\ncpu_time = \"100ms\"\ncall_timeout = \"300ms\"\nmemory = \"4MiB\"\n";

/// A module in which some bytes are replaced everywhere.
fn patched(module: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "nothing else may move");
    let (mut bytes, mut place, mut found) = (module.to_vec(), 0, false);
    while place + from.len() <= bytes.len() {
        if bytes[place..].starts_with(from) {
            bytes[place..place + to.len()].copy_from_slice(to);
            found = true;
        }
        place += 1;
    }
    assert!(found, "{} is not in the module", String::from_utf8_lossy(from));
    bytes
}

/// Everything that can be wrong with a module: the kind, the bytes, and what the error says.
fn failures() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let probe = fs::read(guest("probe")).unwrap();
    let truncated = probe[..probe.len() / 2].to_vec();
    // The memory begins with 17 pages of 64 KiB. This makes it 127, the most that LEB128 writes in one byte, and 8 MiB.
    let greedy = patched(&marked("greedy"), &[5, 3, 1, 0, 17], &[5, 3, 1, 0, 127]);
    let stranger = patched(&probe, b"wasi:config/store", b"wasi:config/stork");
    let misfit = patched(&probe, b"set-attachment", b"put-attachment");
    vec![
        ("not-wasm", b"no module".to_vec(), "is not WebAssembly"),
        ("not-wasm", Vec::new(), "is not WebAssembly"),
        ("not-component", b"\0asm\x01\0\0\0".to_vec(), "build it for the target `wasm32-wasip2`"),
        ("invalid", truncated, "does not compile"),
        ("missing-export", b"\0asm\x0d\0\x01\0".to_vec(), "does not export `hassock:host/handler"),
        ("imports", stranger, "imports `wasi:config/stork@0.2.0-rc.1`, which this host does not have"),
        ("mismatch", misfit, "does not fit the interfaces of this host"),
        ("instantiate", greedy, "cannot be instantiated"),
        ("check", marked("bad check-error"), "failed: the module returned an error: the check says no"),
        ("check", marked("bad check-trap"), "failed: the module trapped"),
        ("check", marked("bad check-spin"), "failed: the call computed for longer than `cpu_time` = 100ms"),
        ("check", marked("bad check-sleep"), "failed: the call took longer than `call_timeout` = 300ms"),
    ]
}

/// Invariant 7: "A module that fails to compile, link or pass its check never receives traffic; the running version
/// stays", even its instance. The error says why, and so does the report, with the kind.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_module_the_old_one_goes_on() {
    let host = TestHost::probe(&format!("[apps.probe.limits]\n{LIMITS}")).await;
    let serving = host.serving("probe");
    let mut client = host.connect("/probe").await;
    assert_eq!(client.probe(json!("calls")).await, 1);
    for (calls, (kind, bytes, words)) in (2..).zip(failures()) {
        let before = host.report("probe").counts.refusals.get(kind).copied().unwrap_or(0);
        let error = host.host.control().deploy("probe", bytes, Rollout::Full).await.unwrap_err().to_string();
        assert!(error.contains(words), "{kind}: {error}");
        let report = host.report("probe");
        assert_eq!(report.counts.refusals[kind], before + 1, "{kind}: {:?}", report.counts);
        let refusal = report.last_refusal.unwrap();
        assert_eq!((refusal.kind.as_str(), refusal.message), (kind, error));
        assert_eq!(client.probe(json!("calls")).await, calls, "after {words}");
    }
    let report = host.report("probe");
    assert_eq!(report.counts.refusals.values().sum::<u64>(), failures().len() as u64);
    assert_eq!(report.counts.deploys, 0);
    assert_eq!(report.versions.len(), 1, "{report:?}");
    assert_eq!((&report.versions[0].version, report.versions[0].state), (&serving, VersionStatus::Serving));
    assert_eq!(report.versions[0].failures, 0, "a check is not a call of the version that serves");
    assert_eq!(host.connect("/probe").await.ask("new ones too").await, "new ones too");
}

/// The same for a module's file, which is read again when it has changed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_until_it_is_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("marked.wasm");
    fs::write(&file, marked("old")).unwrap();
    let host = TestHost::start(&app("marked", &file)).await;
    let old = host.serving("marked");
    let mut client = host.connect("/marked").await;
    let deploy = || host.host.control().deploy_file("marked");
    assert_eq!(deploy().await.unwrap(), None, "it is the same");
    fs::write(&file, marked("new check-error")).unwrap();
    for _ in 0..2 {
        assert!(deploy().await.unwrap_err().to_string().contains("the check says no"));
    }
    fs::remove_file(&file).unwrap();
    assert!(deploy().await.unwrap_err().to_string().contains("cannot read the module"));
    assert_eq!(client.ask("who").await, "old who");
    let report = host.report("marked");
    assert_eq!(report.last_refusal.unwrap().kind, "unreadable");
    assert_eq!((report.counts.refusals["check"], report.file_version), (2, old));
    fs::write(&file, marked("new")).unwrap();
    let outcome = deploy().await.unwrap().unwrap();
    assert_eq!((outcome.version, outcome.notes), (host.report("marked").file_version, Vec::new()));
    assert_eq!(client.ask("who").await, "new who");
}

/// Invariant 6: what a new version imports and the config does not grant is named in one error, and it gets no
/// traffic.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_a_grant_is_refused() {
    let host = TestHost::marked("old", "").await;
    let mut client = host.connect("/marked").await;
    let probe = fs::read(guest("probe")).unwrap();
    let error = host.host.control().deploy("marked", probe, Rollout::Full).await.unwrap_err().to_string();
    for words in ["`hassock:host/sql@", "not granted", "`[apps.marked]`"] {
        assert!(error.contains(words), "{error}");
    }
    let report = host.report("marked");
    assert_eq!((report.counts.refusals["imports"], report.versions.len()), (1, 1));
    assert_eq!(client.ask("who").await, "old who");
}

/// `self-test`: "there are no connections, subscribers or lasting timers": what a check publishes reaches no
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_reaches_no_connection() {
    let host = TestHost::marked("old", "").await;
    let mut client = host.connect("/marked?topic=events").await;
    host.deploy("new check-publish").await;
    assert_eq!(client.ask("first").await, "new first");
}

/// A host with `marked` that may read and write a database, and the setting `check` for `probe`.
async fn checked(database: &TestDatabase, deed: &str) -> TestHost {
    let keys = format!("databases.main = \"read-write\"\nsettings.check = \"{deed}\"\n{}", database.config(""));
    TestHost::marked("old", &keys).await
}

const TABLE: &str = "CREATE TABLE event (connection BIGINT, kind TEXT, detail TEXT)";

/// `self-test`: "It may read … the granted databases".
async fn a_check_can_read(database: TestDatabase) {
    let host = checked(&database, "read").await;
    let probe = || fs::read(guest("probe")).unwrap();
    let deploy = || host.host.control().deploy("marked", probe(), Rollout::Full);
    // It really reads: without the table it fails.
    assert!(deploy().await.unwrap_err().to_string().contains("event"));
    database.execute(TABLE).await;
    deploy().await.unwrap();
    assert_eq!(host.connect("/marked").await.ask("echo").await, "echo");
}

/// `self-test`: it may "change nothing: every database is read-only", whatever the app may do.
async fn a_check_cannot_write(database: TestDatabase) {
    database.execute(TABLE).await;
    let host = checked(&database, "write").await;
    let probe = fs::read(guest("probe")).unwrap();
    let error = host.host.control().deploy("marked", probe, Rollout::Full).await.unwrap_err().to_string();
    assert!(error.contains("failed: the module returned an error: database: denied: "), "{error}");
    assert_eq!(database.number("SELECT COUNT(*) FROM event").await, 0);
    assert_eq!(host.report("marked").counts.refusals["check"], 1);
    assert_eq!(host.connect("/marked").await.ask("who").await, "old who");
}

for_both_engines!(a_check_can_read, a_check_cannot_write);

/// Invariant 7 for the first version: a host does not start with a module that fails its check, and
/// `hassock check` finds it, at the key of the module.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_does_not_start_with_a_module_that_fails_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("marked.wasm");
    fs::write(&module, marked("bad check-error")).unwrap();
    let config = app("marked", &module);
    let error = TestHost::try_start(&config).await.err().unwrap().to_string();
    assert!(error.contains("apps.marked.module: ") && error.contains("the check says no"), "{error}");
    fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let finished = hassock(folder.path(), ["check"]).await;
    assert_eq!(finished.code, Some(78), "{finished:?}");
    assert!(finished.stdout.starts_with("hassock.toml:3: apps.marked.module: "), "{}", finished.stdout);
    assert!(finished.stdout.contains("the check says no"), "{}", finished.stdout);
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
}

/// Invariant 4: a check that never ends does not delay the connections that are served meanwhile, not even where there
/// is only one thread for all.
#[tokio::test(flavor = "current_thread")]
async fn a_check_that_spins_does_not_stall_serving() {
    let other = app("other", &example("echo"));
    let host = TestHost::marked("old", &format!("limits.cpu_time = \"20s\"\n{other}")).await;
    let (mut same, mut other) = (host.connect("/marked").await, host.connect("/other").await);
    let (control, polls) = (host.host.control().clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&polls);
    let deploy = tokio::spawn(async move {
        let mut deploy = pin!(control.deploy("marked", marked("new check-spin"), Rollout::Full));
        poll_fn(|context| {
            count.fetch_add(1, Ordering::Relaxed);
            deploy.as_mut().poll(context)
        })
        .await
    });
    // It is polled this often only in the check, where it lets others run again and again.
    let is_checking = || deploy.is_finished() || polls.load(Ordering::Relaxed) >= 20;
    eventually("the check to begin", || async { is_checking() }).await;
    for _ in 0..5 {
        assert_eq!(same.ask("who").await, "old who");
        assert_eq!(other.ask("well").await, "well");
        assert_eq!(host.connect("/marked").await.ask("who").await, "old who");
    }
    assert!(!deploy.is_finished(), "no connection was served before the check was over");
    deploy.abort();
}
