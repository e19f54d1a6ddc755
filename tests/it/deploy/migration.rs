//! Attachments from one version to the next and back (invariant 3): each connection's own, once, in its turn.

use futures_util::future;
use hassock::deploy::{Pin, VersionStatus};
use hassock_tests::{Client, Raw, TestHost, eventually, raw};

/// No rollback, for tests that are not about it but in which many calls fail.
const NO_ROLLBACK: &str = "rollback.watch_for = \"0s\"\n";

/// Wait until a version has this many connections.
async fn has_connections(host: &TestHost, version: &str, count: u64) {
    let done = || async { host.version(version).connections == count };
    eventually(&format!("{count} connections of {version}"), done).await;
}

/// What `migration.migrate` promises: "Runs once for each connection that moves here, before its next call", for
/// connections that talk and for silent ones. Connections that the new version opened itself have nothing to migrate.
#[tokio::test(flavor = "multi_thread")]
async fn each_attachment_is_migrated_once() {
    let host = TestHost::marked("v1", "").await;
    let (mut talker, mut silent) = (host.connect("/marked").await, host.connect("/marked").await);
    assert_eq!(talker.ask("attachment").await, "v1");
    let v2 = host.deploy("v2 migrate").await;
    assert_eq!(talker.ask("attachment").await, "v1 v2");
    assert_eq!(talker.ask("attachment").await, "v1 v2", "once");
    has_connections(&host, &v2, 2).await;
    let mut newcomer = host.connect("/marked").await;
    host.deploy("v3 migrate").await;
    for (client, attachment) in [(&mut talker, "v1 v2 v3"), (&mut silent, "v1 v2 v3"), (&mut newcomer, "v2 v3")] {
        assert_eq!(client.ask("attachment").await, attachment);
    }
    let report = host.report("marked");
    assert_eq!((report.counts.migrations, report.counts.failed_migrations), (5, 0));
    let left = host.version(&v2);
    assert_eq!((left.connections, left.state), (0, VersionStatus::Kept));
}

/// Invariant 1: the migration takes its turn. It comes after a call that runs in the old version, and before
/// what the client sent meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_the_call_that_runs() {
    let host = TestHost::marked("old", "").await;
    // Compiled and kept, so that the swap is quicker than the call.
    host.deploy("new migrate").await;
    host.deploy("old").await;
    let mut client = host.connect("/marked").await;
    client.send("nap").await;
    assert_eq!(client.text().await, "old naps");
    client.send("attachment").await;
    client.send("next").await;
    host.deploy("new migrate").await;
    assert_eq!(client.text().await, "old woke with old");
    assert_eq!(client.text().await, "old new");
    assert_eq!(client.text().await, "new next");
    assert_eq!(host.report("marked").counts.migrations, 1);
}

/// "On an error the connection stays with the version that it has, and this counts as a failed call." The same
/// for a trap, an endless loop, and an attachment larger than `attachment_bytes`.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_migrated_stays_where_it_is() {
    let limits = "limits = { cpu_time = \"50ms\" }\n";
    let host = TestHost::marked("old", &format!("{limits}{NO_ROLLBACK}")).await;
    let old = host.serving("marked");
    let (mut talker, mut silent) = (host.connect("/marked").await, host.connect("/marked").await);
    assert_eq!(talker.ask("attach").await, "done");
    for (before, deed) in (0..).zip(["error", "trap", "spin", "huge"]) {
        let bad = host.deploy(&format!("bad migrate-{deed}")).await;
        assert_eq!(talker.ask("who").await, "old who", "{deed}");
        eventually("the other's migration to fail", || async { host.version(&bad).failures == 2 }).await;
        // Both migrations have failed, and nothing repeats them: neither a message nor a change of the pin.
        for pin in [Pin::Default, Pin::Off] {
            host.host.control().pin("marked", pin).unwrap();
            assert_eq!(talker.ask("attachment").await, "old changed", "{deed}");
            assert_eq!(silent.ask("attachment").await, "old", "{deed}");
        }
        assert_eq!((host.version(&bad).failures, host.version(&bad).connections), (2, 0), "{deed}");
        assert_eq!(host.report("marked").counts.failed_migrations, 2 * (before + 1), "{deed}");
        let still = host.version(&old);
        assert_eq!((still.connections, still.state), (2, VersionStatus::Draining), "{deed}");
        assert_eq!(host.version(&old).failures, 0, "{deed}: it is not the old one that failed");
        // A new connection has nothing to migrate.
        let mut newcomer = host.connect("/marked").await;
        assert_eq!(newcomer.ask("who").await, "bad who", "{deed}");
        newcomer.close().await;
        eventually("its end", || async { host.host.connections() == 2 }).await;
    }
    assert_eq!(host.report("marked").counts.migrations, 0);

    let mended = host.deploy("mended migrate").await;
    assert_eq!(talker.ask("attachment").await, "old changed mended", "the next version migrates it");
    assert_eq!(silent.ask("attachment").await, "old mended");
    assert_eq!(host.version(&mended).failures, 0);
}

/// Migrations that fail are failed calls: after enough of them, the version is taken back. No connection is lost or
/// changed by that, and no client has to send anything.
#[tokio::test(flavor = "multi_thread")]
async fn migrations_that_fail_roll_a_version_back() {
    let rollback = "rollback = { min_calls = 5 }\nlimits = { cpu_time = \"50ms\" }\n";
    let host = TestHost::marked("old", rollback).await;
    let old = host.serving("marked");
    let mut clients = future::join_all((0..30).map(|_| host.connect("/marked"))).await;
    for (before, deed) in (0..).zip(["error", "trap", "spin", "huge"]) {
        let bad = host.deploy(&format!("bad migrate-{deed}")).await;
        eventually("the rollback", || async { host.version(&bad).state == VersionStatus::RolledBack }).await;
        let (report, bad) = (host.report("marked"), host.version(&bad));
        assert_eq!(report.counts.automatic_rollbacks, before + 1, "{deed}");
        assert!(bad.failures >= 5, "{deed}: {bad:?}");
        assert!(bad.reason.unwrap().contains("failed, more than `rollback.failures` = 10%"), "{deed}");
        assert_eq!(host.serving("marked"), old, "{deed}");
    }
    for client in &mut clients {
        assert_eq!(client.ask("attachment").await, "old");
        assert_eq!(client.ask("who").await, "old who");
    }
    assert_eq!(host.version(&old).connections, 30);
}

/// "When a version is rolled back, connections get the attachments back that they had before this", also when
/// the version that is taken back has changed them since.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_restores_attachments() {
    let host = TestHost::marked("old", "").await;
    let old = host.serving("marked");
    let (mut changed, mut silent) = (host.connect("/marked").await, host.connect("/marked").await);
    let new = host.deploy("new migrate").await;
    has_connections(&host, &new, 2).await;
    assert_eq!(changed.ask("attach").await, "done");
    assert_eq!(changed.ask("attachment").await, "new changed");
    host.host.control().rollback("marked").unwrap();
    has_connections(&host, &old, 2).await;
    assert_eq!(changed.ask("attachment").await, "old");
    assert_eq!(silent.ask("attachment").await, "old");
}

/// What a version changed stays after its rollback if it reads and writes attachments as the one before it does:
/// it had nothing to migrate.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_keeps_what_was_changed_in_the_same_format() {
    let host = TestHost::marked("old", "").await;
    let mut client = host.connect("/marked").await;
    host.deploy("new").await;
    assert_eq!(client.ask("attach").await, "done");
    host.host.control().rollback("marked").unwrap();
    assert_eq!(client.ask("attachment").await, "new changed");
    assert_eq!(client.ask("who").await, "old who");
}

/// A version that comes again after its rollback migrates again: what was changed meanwhile is not replaced by what it
/// left the first time.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_comes_again_migrates_again() {
    let host = TestHost::marked("old", "").await;
    let (mut changed, mut silent) = (host.connect("/marked").await, host.connect("/marked").await);
    for _ in 0..2 {
        host.deploy("new migrate").await;
        assert_eq!(silent.ask("attachment").await, "old new");
        assert!(changed.ask("attachment").await.ends_with(" new"));
        host.host.control().rollback("marked").unwrap();
        assert_eq!(silent.ask("attachment").await, "old");
        assert_eq!(changed.ask("attach").await, "done");
    }
    host.deploy("new migrate").await;
    assert_eq!(changed.ask("attachment").await, "old changed new");
    assert_eq!(silent.ask("attachment").await, "old new");
}

/// The close code 1012: "its version was rolled back, and the one before it cannot read the attachment". The older one
/// gets the `closed`. Invariant 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_go_back_is_closed() {
    let host = TestHost::marked("old migrate-error", NO_ROLLBACK).await;
    let old = host.serving("marked");
    let mut witness = host.connect("/marked?topic=events").await;
    let new = host.deploy("new migrate").await;
    let mut talker = host.connect("/marked").await;
    let mut silent = host.connect("/marked").await;
    assert_eq!(talker.ask("who").await, "new who");
    has_connections(&host, &new, 3).await;
    host.host.control().rollback("marked").unwrap();
    for client in [&mut talker, &mut silent] {
        let closed = client.closed().await;
        assert_eq!((closed.code, closed.reason), (1012, format!("the application was rolled back (version {new})")));
    }
    each_is_closed_once(&host, &mut witness, &["old closed 1012"; 2]).await;
    // The witness was opened in that version, and has its attachment back.
    assert_eq!(witness.ask("attachment").await, "old");
    assert_eq!(host.version(&old).failures, 2);
}

/// The same for a connection that ends by itself at that moment: its close code stands, and `closed` is called.
/// Invariant 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_while_it_cannot_go_back_is_closed_once() {
    let host = TestHost::marked("old migrate-error", NO_ROLLBACK).await;
    let mut witness = host.connect("/marked?topic=events").await;
    let new = host.deploy("new migrate").await;
    has_connections(&host, &new, 1).await;
    let mut client = Raw::open(&host.address(), "/marked").await;
    // One packet, so that the host has read the end when the call begins.
    client.send([raw::text("nap"), raw::close(4000, "bye")].concat()).await;
    // What a running call publishes reaches connections that are written to for another reason.
    witness.send("begun?").await;
    while witness.text().await != "new naps" {
        witness.send("begun?").await;
    }
    host.host.control().rollback("marked").unwrap();
    assert_eq!(client.closed().await, (4000, "bye".to_owned()));
    each_is_closed_once(&host, &mut witness, &["old closed 4000"]).await;
}

/// Check what a connection with the topic `events` hears until it is the only one left.
async fn each_is_closed_once(host: &TestHost, witness: &mut Client, expected: &[&str]) {
    eventually("the ends of the others", || async { host.host.connections() == 1 }).await;
    witness.send("end").await;
    let mut heard = Vec::new();
    loop {
        match witness.text().await {
            end if end.ends_with(" end") => break,
            question if question.ends_with(" begun?") => {}
            event => heard.push(event),
        }
    }
    assert_eq!(heard, expected);
}
