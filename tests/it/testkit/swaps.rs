//! Other versions of a module, through the gate.

use hassock::testkit::{CallFault, Client, Connect, DatabaseError, TestHost};
use hassock_tests::{guest, marked, module_file};
use serde_json::json;
use tempfile::NamedTempFile;

use super::{app, config, ok, text, time_passes};

fn version(mark: &str) -> NamedTempFile {
    module_file(&marked(mark))
}

fn start(mark: &str) -> TestHost {
    TestHost::load(version(mark).path()).unwrap()
}

/// The name of the version that answers.
#[track_caller]
fn served_by(client: &Client) -> String {
    client.send_text("who");
    text(client).split(' ').next().unwrap().to_owned()
}

#[test]
fn a_swap_is_there_at_once_for_all() {
    let host = start("v1");
    let client = host.connect("/");
    assert_eq!(served_by(&client), "v1");
    for mark in ["v2", "v3", "v1"] {
        host.swap(None, version(mark).path()).unwrap();
        assert_eq!(served_by(&client), mark);
        assert_eq!(served_by(&host.connect("/")), mark);
    }
    assert!(client.is_open());
}

/// Invariant 7: if the gate refuses a version, the running version stays, and the error says why.
#[test]
fn a_bad_version_is_refused_and_the_old_one_goes_on() {
    let file = version("v1");
    let host = TestHost::builder().module(file.path()).set("limits.cpu_time", "\"100ms\"").build().unwrap();
    let client = host.connect("/");
    let bad = [
        ("bad check-error", "the check says no"),
        ("bad check-trap", "the module trapped"),
        ("bad check-spin", "`cpu_time` = 100ms"),
        // Time passes as long as it sleeps, until the host gives it up.
        ("bad check-sleep", "`call_timeout` = 30s"),
    ];
    for (mark, why) in bad {
        host.take_log();
        let error = host.swap(None, version(mark).path()).unwrap_err().to_string();
        assert!(error.contains(why), "{mark}: {error}");
        assert_eq!(super::logged(&host, "the running one goes on").len(), 1, "{mark}");
        assert_eq!(served_by(&client), "v1");
    }
    let text = module_file(b"no module");
    let error = host.swap(None, text.path()).unwrap_err().to_string();
    assert!(error.contains("is not WebAssembly"), "{error}");
    let error = host.swap(None, "/nowhere/x.wasm").unwrap_err().to_string();
    assert!(error.contains("/nowhere/x.wasm"), "{error}");
    let error = host.swap(Some("other"), version("v2").path()).unwrap_err().to_string();
    assert!(error.starts_with("there is no app `other`"), "{error}");
    assert_eq!(served_by(&client), "v1");
}

#[test]
fn a_check_can_neither_write_nor_publish() {
    let host = start("v1");
    let client = host.connect("/");
    host.swap(None, version("v2 check-publish").path()).unwrap();
    client.expect_nothing();
    assert_eq!(served_by(&client), "v2");
}

#[test]
fn attachments_are_migrated_once() {
    let host = start("v1");
    let (talker, silent) = (host.connect("/"), host.connect("/"));
    host.swap(None, version("v2 migrate").path()).unwrap();
    assert_eq!(served_by(&talker), "v2");
    // A silent connection moves a little later.
    time_passes(&host);
    host.swap(None, version("v3 migrate").path()).unwrap();
    for client in [&talker, &silent, &talker] {
        client.send_text("attachment");
        client.expect_text("v1 v2 v3");
    }
    host.swap(None, version("v4 migrate-error").path()).unwrap();
    assert_eq!(served_by(&talker), "v3", "the connection stays with the version that can read its attachment");
    assert_eq!(served_by(&host.connect("/")), "v4");
}

#[test]
fn pinned_connections_stay() {
    let file = version("v1");
    let host = TestHost::builder().module(file.path()).set("swap", "\"pin\"");
    let host = host.set("pin_for", "\"1h\"").build().unwrap();
    let old = host.connect("/");
    host.swap(None, version("v2").path()).unwrap();
    assert_eq!(served_by(&old), "v1");
    assert_eq!(served_by(&host.connect("/")), "v2");
    host.advance(std::time::Duration::from_secs(3601));
    assert_eq!(served_by(&old), "v2");
}

/// A swap waits for no call: a call that runs ends in the old version.
#[test]
fn a_call_that_runs_ends_in_its_version() {
    let host = start("v1");
    let client = host.connect("/");
    client.send_text("nap");
    client.expect_text("v1 naps");
    client.send_text("next");
    host.swap(None, version("v2").path()).unwrap();
    client.expect_nothing();
    host.advance(std::time::Duration::from_secs(1));
    client.expect_text("v1 woke with v1");
    client.expect_text("v2 next");
}

#[test]
fn with_several_apps_the_name_is_needed() {
    let (_folder, file) = config(&(app("a", &guest("marked")) + &app("b", &guest("marked"))));
    let host = TestHost::builder().config(file).build().unwrap();
    let error = host.swap(None, version("v2").path()).unwrap_err().to_string();
    assert_eq!(error, "say which app: there are `a`, `b`");
    host.swap(Some("b"), version("v2").path()).unwrap();
    assert_eq!(served_by(&host.connect("/a")), "plain");
    assert_eq!(served_by(&host.connect("/b")), "v2");
}

/// The cost grows with the calls.
#[test]
fn costs_are_those_of_calls() {
    let host = super::probe().setting("check", "read").setting("events", "yes");
    // The check reads a table that is not there: it fails, and it is not a call.
    let error = host.build().err().unwrap().to_string();
    assert!(error.contains("check"), "{error}");
    let host = super::probe().build().unwrap();
    assert_eq!(
        (host.cost().calls, host.cost().statements, host.cost().peak_memory),
        (0, 0, 0),
        "a self-test is not a call"
    );
    let client = host.connect("/");
    let opened = host.cost();
    assert_eq!((opened.calls, opened.statements), (1, 0));
    assert!(opened.peak_memory > 64 << 10 && opened.cpu_time.as_nanos() > 0, "{opened:?}");
    ok(&client, &json!({ "query": { "sql": "SELECT 1" } }));
    let step = json!({ "query": { "sql": "SELECT 1" } });
    ok(&client, &json!({ "transaction": [step, step, "commit"] }));
    host.database("main").unwrap().run("SELECT 1").unwrap();
    assert_eq!((host.cost().calls, host.cost().statements), (3, 3), "the test's own statements are not counted");
    host.swap(None, guest("probe")).unwrap();
    assert_eq!(host.cost().calls, 3);
    client.disconnect(None).unwrap();
    assert_eq!(host.cost().calls, 4);
    assert!(host.cost().cpu_time > opened.cpu_time);
}

/// The faults of a test are for the calls of its clients.
#[test]
fn a_self_test_meets_no_faults() {
    let mut host = super::probe().build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE event (kind TEXT)").unwrap();
    host.fail_sql("main", DatabaseError::Timeout).unwrap();
    host.fail_call(None, CallFault::Trap).unwrap();
    host.set("settings.check", "\"read\"").unwrap();
    host.swap(None, guest("probe")).unwrap();
    assert_eq!((host.cost().calls, host.cost().statements), (0, 0));
    assert_eq!(host.request(&Connect::to("/")).unwrap().err().unwrap().status, 500);
    let query = json!({ "query": { "sql": "SELECT 1" } });
    assert_eq!(super::ask(&host.connect("/"), &query)["sql"], "timeout");
}

/// It waits for its turn in the database like all calls, and time passes as long as it waits.
#[test]
fn a_self_test_waits_for_a_transaction_that_waits_for_time() {
    let mut host = super::probe().build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE event (kind TEXT)").unwrap();
    let client = host.connect("/");
    let insert = "INSERT INTO event VALUES ('x')";
    client.send_json(&json!({ "transaction": [{ "execute": { "sql": insert } }, "sleep", "commit"] }));
    client.expect_nothing();
    host.set("settings.check", "\"read\"").unwrap();
    client.expect_json(&json!({ "ok": [{ "ok": 1 }, { "ok": null }, { "ok": null }] }));
    assert_eq!(super::rows(&host, "event"), 1);
}

/// A self-test reads, and cannot write.
#[test]
fn a_self_test_that_writes_fails() {
    let mut host = super::probe().build().unwrap();
    host.database("main").unwrap().run("CREATE TABLE event (connection BIGINT, kind TEXT, detail TEXT)").unwrap();
    let error = host.set("settings.check", "\"write\"").and_then(|()| host.swap(None, guest("probe"))).unwrap_err();
    assert!(error.to_string().contains("denied"), "{error}");
    assert_eq!(super::rows(&host, "event"), 0);
}

#[test]
fn a_hog_shows_in_the_peak() {
    let host = super::faults();
    let client = host.connect("/");
    let before = host.cost().peak_memory;
    assert!(before < 4 << 20, "{before}");
    client.send_text("hog");
    let after = host.cost().peak_memory;
    assert!((12 << 20..=16 << 20).contains(&after), "{after}, of 16 MiB");
}
