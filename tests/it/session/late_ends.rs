//! Connections that have ended, and whose module does not hear of it yet: its `closed` takes long, or has no instance
//! (invariants 2 and 5).

use std::fs;

use hassock_tests::raw::opcode::BINARY;
use hassock_tests::raw::{frame, upgrade};
use hassock_tests::{Client, Events, Process, Raw, TestHost, app, crowded, eventually, guest, note, unlock, within};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

const MIB: usize = 1 << 20;

/// A host whose calls wait for the database of the events for as long as it is locked. `limits` are those of the app, and
/// `more` is another part of the config.
async fn host(events: &Events, limits: &str, more: &str) -> TestHost {
    let database = format!("[databases.main]\nurl = \"{}\"\nquery_timeout = \"1h\"\n", events.url());
    let app = app("probe", &guest("probe"));
    TestHost::start(&format!(
        "{database}{app}databases.main = \"read-write\"\nsettings.events = true\n\
         [apps.probe.limits]\ncall_timeout = \"1h\"\n{limits}\n{more}"
    ))
    .await
}

fn all_used(host: &TestHost) -> usize {
    host.host.control().host_figures().memory.used.iter().map(|(_, bytes)| bytes).sum()
}

/// A client that has read nothing of some MiB, and a timer with one MiB.
async fn behind(host: &TestHost, sender: &mut Client) -> Raw {
    let mut raw = Raw::open(&host.address(), "/probe").await;
    let timer = json!({ "timer": { "name": "far", "after_ms": 3_600_000, "text": "x".repeat(MIB) } });
    raw.send(hassock_tests::raw::text(&timer.to_string())).await;
    raw.text().await;
    raw.send(hassock_tests::raw::text(&json!("attachment").to_string())).await;
    let answer: Value = serde_json::from_str(&raw.text().await).unwrap();
    let command = json!({ "send-to": { "id": answer["ok"]["opened"], "text": "x".repeat(MIB) } });
    // The kernel takes some of it.
    while all_used(host) < 6 * MIB {
        sender.probe(command.clone()).await;
    }
    raw
}

/// What a client that is gone had in memory is given back at once, whenever its module hears of it.
async fn memory_is_given_back_before_closed(instances: usize) {
    let events = Events::new().await;
    let limits = format!(
        "instances = {instances}\ninstance_wait = \"1h\"\nmessage_bytes = \"8MiB\"\noutbox_bytes = \"8MiB\"\n\
         attachment_bytes = \"8MiB\"\nwrite_timeout = \"1h\"\n"
    );
    let host = host(&events, &limits, "").await;
    let mut sender = host.connect("/probe").await;
    let behind = behind(&host, &mut sender).await;
    let mut unfinished = Raw::open(&host.address(), "/probe").await;
    let before = all_used(&host);
    unfinished.send(frame(BINARY, vec![0; 4 * MIB])).await;
    eventually("its message", || async { all_used(&host) >= before + 4 * MIB }).await;
    let lock = events.lock().await;
    // With one instance, this call has it.
    sender.send(note("slow").to_string()).await;
    behind.reset();
    unfinished.reset();
    eventually("nothing in memory", || async { all_used(&host) == 0 }).await;
    assert_eq!(events.of("closed").await, Vec::<String>::new(), "nothing was closed yet");
    unlock(lock).await;
    events.wait("closed", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_closed_keeps_nothing_in_memory() {
    memory_is_given_back_before_closed(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_that_waits_for_an_instance_keeps_nothing_in_memory() {
    memory_is_given_back_before_closed(1).await;
}

/// `max_connections`: what is owed to a module is bounded, so a connection counts until its `closed` has returned, also one
/// whose client has left during the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_until_closed_has_returned() {
    for during_the_handshake in ["", "?open=slow"] {
        let events = Events::new().await;
        let other = app("faults", &guest("faults")) + "databases.main = \"read-only\"\n";
        let host = host(&events, "", &format!("{other}[limits]\nmax_connections = 2\n")).await;
        let mut bystander = host.connect("/faults").await;
        let mut leaver = Raw::connect(&host.address()).await;
        leaver.send(upgrade(&format!("/probe{during_the_handshake}"))).await;
        events.wait("open", 1).await;
        if during_the_handshake.is_empty() {
            leaver.accepted().await;
        }
        let lock = events.lock().await;
        leaver.reset();
        let (mut next, address) = (Raw::connect(&host.address()).await, host.address());
        next.send(upgrade("/faults")).await;
        let accepted = async {
            next.accepted().await;
            assert_eq!(events.of("closed").await.len(), 1, "{address} has accepted more than it may");
        };
        let released = async {
            // Others are served meanwhile, so the host could have accepted it as well.
            for number in 0..2_000 {
                assert_eq!(bystander.ask(format!("{number}")).await, format!("{number}"));
            }
            unlock(lock).await;
        };
        within("the place of the one that left", async { tokio::join!(accepted, released) }).await;
    }
}

/// Invariant 2: no instance of any app is free, so none can be made for a `closed`, which is tried again until one can.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_is_tried_again_when_no_instance_can_be_made() {
    let events = Events::new().await;
    let folder = tempfile::tempdir().unwrap();
    // All apps share 16 instances of core modules, of which an instance of the probe takes 3 and one of this app 15.
    fs::write(folder.path().join("crowd.wasm"), crowded("probe", 12)).unwrap();
    let rest =
        "databases.main = \"read-write\"\nlimits = { instances = 1, instance_calls = 1, call_timeout = \"1h\" }\n";
    let config = format!(
        "listen = \"127.0.0.1:0\"\nlog = {{ level = \"debug\" }}\n[limits]\nmax_instances = 4\n\
         [databases.main]\nurl = \"{}\"\nquery_timeout = \"1h\"\n{}{rest}settings.events = true\n{}{rest}",
        events.url(),
        app("probe", &guest("probe")),
        app("crowd", "crowd.wasm".as_ref()),
    );
    fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    let leaver = Client::connect(&address, "/probe").await;
    let mut busy = Client::connect(&address, "/crowd").await;
    let lock = events.lock().await;
    busy.send(note("slow").to_string()).await;
    eventually("no instance is left", || async {
        let Err(Error::Http(answer)) = Client::with(&address, "/probe", |_| {}).await else { return false };
        answer.status() == 503
    })
    .await;
    drop(leaver);
    process.complains_times("tried again", 3).await;
    assert_eq!(events.of("closed").await, Vec::<String>::new());
    unlock(lock).await;
    assert_eq!(events.wait("closed", 1).await, ["1006 Transport the client went away"]);
}
