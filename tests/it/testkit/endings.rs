//! The end of a host, whatever it is doing.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use hassock::testkit::{Client, TestDatabase, TestHost};
use serde_json::json;

use super::{faults, ok, probe, timer};

/// A busy host: a call that waits, one that waits with an open transaction, timers, and a full outbox.
fn busy() -> (TestHost, Vec<Client>, TestDatabase) {
    let host = faults();
    let clients: Vec<Client> = (0..4).map(|_| host.connect("/")).collect();
    clients[0].send_text("sleep");
    clients[1].send_text("leak and sleep");
    clients[1].send_text("afterwards");
    clients[2].fail_outbox().unwrap();
    host.advance(Duration::from_secs(1));
    let database = host.database("main").unwrap();
    (host, clients, database)
}

/// It neither hangs nor panics, in any order of drops.
#[test]
fn a_host_can_be_dropped_in_the_middle_of_everything() {
    let (host, clients, database) = busy();
    drop((host, clients, database));
    let (host, clients, database) = busy();
    drop(clients);
    drop((database, host));
    let (host, clients, database) = busy();
    drop(host);
    // The clients and the database keep it alive.
    clients[3].send_text("still here");
    clients[3].expect_text("still here");
    drop(clients);
    drop(database);
}

#[test]
fn timers_that_are_due_later_never_fire() {
    let host = probe().setting("events", "yes").build().unwrap();
    let client = host.connect("/");
    for number in 0..16 {
        ok(&client, &timer(&format!("t{number}"), Duration::from_secs(number + 1)));
    }
    ok(&client, &json!({ "app-timer": { "name": "app", "after_ms": 1000, "text": "" } }));
    drop(host);
    drop(client);
}

#[test]
fn a_failed_test_ends() {
    let failed = thread::spawn(|| {
        let (_host, clients, _database) = busy();
        clients[0].expect_text("never");
    });
    let panic = failed.join().unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("expected the text \"never\""), "{said}");
}

/// Threads and file handles of this process.
fn held() -> (usize, usize) {
    let count = |folder| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// The name of the test below, and of the variable that says that it has a process of its own.
const LEAKS: &str = "testkit::endings::many_hosts_leave_nothing_behind";
const ALONE: &str = "HASSOCK_TESTS_ALONE";

/// In a process of its own: other tests have threads and files too.
#[test]
fn many_hosts_leave_nothing_behind() {
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().unwrap();
        let done = Command::new(this).args([LEAKS, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    // What is created once is created now.
    drop(busy());
    drop(busy());
    let (threads, files) = held();
    for _ in 0..40 {
        drop(busy());
    }
    // A thread needs a moment to end; a leak of one per host would be forty.
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let (now_threads, now_files) = held();
        if now_threads < threads + 20 && now_files < files + 20 {
            return;
        }
        assert!(Instant::now() < patience, "{threads} threads became {now_threads}, {files} files {now_files}");
        thread::yield_now();
    }
}
