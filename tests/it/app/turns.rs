//! Invariant 4, `computing_calls`: calls that compute for long take turns, so that an app does not take every core.

use std::fs;
use std::time::Instant;

use hassock_tests::{Client, Process, app, eventually, guest};

/// The ticks of a second in `/proc`, see proc(5).
const TICKS: f64 = 100.0;

/// The processor time that a program has used, in seconds.
fn used(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // The name in parentheses may contain spaces. After it comes the third field; the 14th and the 15th are what is wanted.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap() / TICKS).sum()
}

/// A machine that does other things gives the host less, never more.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_compute_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let grant = "databases = { main = \"read-write\" }\n";
    let limits =
        "[apps.faults.limits]\ncomputing_calls = 1\ninstances = 4\ncpu_time = \"60s\"\ncall_timeout = \"60s\"\n";
    let database = "listen = \"127.0.0.1:0\"\n[databases.main]\nurl = \"sqlite::memory:\"\n";
    let config = format!("{database}{}{grant}{limits}", app("faults", &guest("faults")));
    fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    let mut spinners = Vec::new();
    for _ in 0..4 {
        spinners.push(Client::connect(&address, "/faults").await);
    }
    for spinner in &mut spinners {
        spinner.send("spin").await;
    }
    let first = used(&process);
    eventually("all calls compute", || async { used(&process) > first + 0.5 }).await;
    let (began, before) = (Instant::now(), used(&process));
    eventually("they have computed", || async { used(&process) > before + 1.5 }).await;
    let cores = (used(&process) - before) / began.elapsed().as_secs_f64();
    assert!(cores < 1.5, "the calls of one app computed on {cores:.1} cores at the same time");
}
