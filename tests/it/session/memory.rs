//! Invariant 5 for all connections together: `memory_budget`. The connections that use most are closed, and others do not notice.

use futures_util::future::join_all;
use hassock_tests::raw::opcode::{BINARY, FIN};
use hassock_tests::raw::{frame, text};
use hassock_tests::{Client, Closed, Events, Process, Raw, TestHost, app, eventually, example, guest};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

const GRANT: &str = "databases = { main = \"read-write\" }\n";

/// A host with the least budget, and bounds of single connections of which a few fill it.
fn small(more: &str) -> String {
    let limits = "message_bytes = \"8MiB\"\noutbox_bytes = \"8MiB\"\nattachment_bytes = \"8MiB\"\n";
    format!("[apps.probe.limits]\n{limits}{more}[limits]\nmemory_budget = \"16MiB\"\n")
}

fn used(host: &TestHost, what_for: &str) -> usize {
    host.host.control().host_figures().memory.used.iter().find(|(name, _)| *name == what_for).unwrap().1
}

fn all_used(host: &TestHost) -> usize {
    host.host.control().host_figures().memory.used.iter().map(|(_, bytes)| bytes).sum()
}

fn out_of_memory() -> Closed {
    Closed { code: 1013, reason: "the host has no memory left".to_owned() }
}

/// Attachments stay until their connection ends, so only closing makes room: for those that need less.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_use_most_are_closed_when_the_memory_is_used_up() {
    let events = Events::new().await;
    let host = events.host(&small("")).await;
    let (mut largest, mut large) = (host.connect("/probe").await, host.connect("/probe").await);
    largest.probe(json!({ "attach": "x".repeat(6 * MIB) })).await;
    large.probe(json!({ "attach": "x".repeat(7 * MIB / 2) })).await;
    let mut small = host.connect("/probe").await;
    small.probe(json!({ "attach": "x".repeat(MIB / 2) })).await;
    let refused = small.try_probe(json!({ "attach": "x".repeat(3 * MIB) })).await;
    assert!(refused.to_string().contains("the host has no memory left (`limits.memory_budget`)"), "{refused}");
    assert_eq!(largest.closed().await, out_of_memory());
    eventually("room", || async { all_used(&host) < 7 * MIB }).await;
    small.probe(json!({ "attach": "x".repeat(3 * MIB) })).await;
    assert_eq!(large.ask("still here").await, "still here");
    assert_eq!(host.host.control().host_figures().memory.closed, 1);
    assert_eq!(events.wait("closed", 1).await, ["1013 Host the host has no memory left"]);
}

/// A client that takes no bytes gives back what waits for it at once, not only after `write_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_gives_back_what_waits_for_it() {
    let events = Events::new().await;
    let host = events.host(&small("write_timeout = \"1h\"\n")).await;
    let mut sender = host.connect("/probe").await;
    let (mut stuck, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        raw.send(text(&json!("attachment").to_string())).await;
        let answer: Value = serde_json::from_str(&raw.text().await).unwrap();
        ids.push(answer["ok"]["opened"].clone());
        stuck.push(raw);
    }
    let message = "x".repeat(MIB / 2);
    // What the kernel takes is not in an outbox, so the host says when there is no room.
    let mut rounds = 0;
    while host.host.control().host_figures().memory.closed == 0 {
        for id in &ids {
            sender.try_probe(json!({ "send-to": { "id": id, "text": message } })).await;
        }
        rounds += 1;
        assert!(rounds < 200, "the memory is never used up: {:?}", host.host.control().host_figures().memory);
    }
    eventually("room", || async { all_used(&host) <= 12 * MIB }).await;
    assert_eq!(events.wait("closed", 1).await[0], "1013 Host the host has no memory left");
    assert_eq!(sender.ask("unaffected").await, "unaffected");
}

/// A host of which one connection fills half of the budget, with the module `faults` too.
async fn large() -> TestHost {
    let limits = "message_bytes = \"32MiB\"\noutbox_bytes = \"32MiB\"\nattachment_bytes = \"8MiB\"\nmemory = \"128MiB\"\n\
                  write_timeout = \"1h\"\nclose_timeout = \"1h\"\n";
    let faults = app("faults", &guest("faults")) + GRANT;
    TestHost::probe(&format!(
        "[apps.probe.limits]\n{limits}{faults}[apps.faults.limits]\n{limits}[limits]\nmemory_budget = \"64MiB\"\n"
    ))
    .await
}

/// Fill the memory with attachments until the one that keeps half of it has to give it back. These connections go on.
async fn fill(host: &TestHost) {
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = host.connect("/faults").await;
        let answer = client.ask("attachment").await;
        assert!(answer.ends_with(" bytes at most"), "{answer}");
        clients.push(client);
    }
    eventually("room", || async { all_used(host) <= 33 * MIB }).await;
    for client in &mut clients {
        assert_eq!(client.ask("unaffected").await, "unaffected");
    }
}

/// A module has sent much to a client that takes nothing, and has closed the connection behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_bytes_before_its_close_gives_them_back() {
    let host = large().await;
    let mut stuck = Raw::open(&host.address(), "/faults").await;
    stuck.send(text("flood")).await;
    eventually("its outbox is full", || async { used(&host, "outbox") >= 31 * MIB }).await;
    fill(&host).await;
    assert!(used(&host, "outbox") < MIB);
}

/// A client that was told of the close, and goes on sending instead of answering: nobody waits for its message.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_after_its_close_keeps_nothing_in_memory() {
    let host = large().await;
    let mut rude = Raw::open(&host.address(), "/probe").await;
    rude.send(text(&json!({ "close": { "code": 3000, "reason": "go" } }).to_string())).await;
    assert_eq!(rude.closed().await, (3000, "go".to_owned()));
    // All of it, of which the kernel keeps little.
    rude.send(&frame(FIN | BINARY, vec![0; 32 * MIB])[..31 * MIB]).await;
    eventually("little in memory", || async { used(&host, "input") < MIB }).await;
}

/// Messages that clients never complete.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_messages_do_not_fill_the_memory() {
    let host = TestHost::probe(&small("")).await;
    let mut other = host.connect("/probe").await;
    let mut unfinished = Vec::new();
    let part = frame(BINARY, vec![0; 4 * MIB]);
    for _ in 0..3 {
        let mut raw = Raw::open(&host.address(), "/probe").await;
        raw.send(&part).await;
        unfinished.push(raw);
    }
    eventually("all of them", || async { used(&host, "input") >= 12 * MIB }).await;
    let mut one_more = Raw::open(&host.address(), "/probe").await;
    // The host may stop reading in the middle of it.
    let _ = one_more.try_send(&part).await;
    eventually("one is closed", || async { host.host.control().host_figures().memory.closed > 0 }).await;
    assert_eq!(other.ask("unaffected").await, "unaffected");
    assert_eq!(other.ask("x".repeat(MIB / 4)).await.len(), MIB / 4);
    drop((unfinished, one_more));
    eventually("nothing left", || async { all_used(&host) == 0 }).await;
}

/// A message that is complete gives back its memory when the module has handled it.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_keeps_nothing() {
    let host = TestHost::probe(&small("")).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = host.connect("/probe").await;
        assert_eq!(client.ask("x".repeat(MIB)).await.len(), MIB);
        clients.push(client);
    }
    eventually("nothing left", || async { all_used(&host) == 0 }).await;
    for client in &mut clients {
        assert_eq!(client.ask("still here").await, "still here");
    }
}

/// A published message is in memory once, and counts once, however many clients are behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_published_message_counts_once() {
    let host = TestHost::probe(&small("")).await;
    let mut speaker = host.connect("/probe").await;
    let mut slow = Vec::new();
    for _ in 0..12 {
        slow.push(Raw::open(&host.address(), "/probe?topic=news").await);
    }
    let message = "x".repeat(MIB);
    // So much waits for each of them that it would not fit for all.
    while used(&host, "outbox") < 5 * MIB {
        let reached = speaker.probe(json!({ "publish": { "topic": "news", "text": message } })).await;
        assert_eq!(reached, slow.len());
    }
    assert_eq!(host.host.control().host_figures().memory.closed, 0);
    for raw in &mut slow {
        assert_eq!(raw.text().await, message);
    }
}

/// Payloads of timers count, and end with their connection.
#[tokio::test(flavor = "multi_thread")]
async fn timers_count_too() {
    let host = TestHost::probe(&small("")).await;
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..2 {
        let mut client = host.connect("/probe").await;
        let timer = json!({ "timer": { "name": "far", "after_ms": 3_600_000, "text": "x".repeat(4 * MIB) } });
        client.probe(timer).await;
        clients.push(client);
    }
    assert!(used(&host, "timer") >= 8 * MIB);
    let mut third = host.connect("/probe").await;
    let timer = json!({ "timer": { "name": "far", "after_ms": 3_600_000, "text": "x".repeat(4 * MIB) } });
    let refused = third.try_probe(timer).await;
    assert!(refused.to_string().contains("as many timers"), "{refused}");
    eventually("room", || async { used(&host, "timer") < 5 * MIB }).await;
    let ends = [clients.remove(0), clients.remove(0)];
    drop(ends);
    eventually("nothing left", || async { used(&host, "timer") == 0 }).await;
}

/// Timers of an app belong to no connection, so no connection is closed for them: the app gets a part.
#[tokio::test(flavor = "multi_thread")]
async fn the_timers_of_an_app_leave_room() {
    let host = TestHost::probe(&small("")).await;
    let mut client = host.connect("/probe").await;
    let timer =
        |name: &str| json!({ "app-timer": { "name": name, "after_ms": 3_600_000, "text": "x".repeat(3 * MIB / 2) } });
    client.probe(timer("first")).await;
    let refused = client.try_probe(timer("second")).await;
    assert!(refused.to_string().contains("as many timers"), "{refused}");
    client.probe(json!({ "cancel-app-timer": "first" })).await;
    client.probe(timer("second")).await;
    assert_eq!(host.host.control().host_figures().memory.closed, 0);
}

/// Also those of many apps together.
#[tokio::test(flavor = "multi_thread")]
async fn the_timers_of_many_apps_leave_room() {
    let names = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
    let apps: String = names.map(|name| format!("{}{GRANT}", app(name, &guest("probe")))).concat();
    let host = TestHost::probe(&format!("{}{apps}", small(""))).await;
    for name in names {
        let mut client = host.connect(&format!("/{name}")).await;
        let timer = |set: usize| json!({ "app-timer": { "name": set.to_string(), "after_ms": 3_600_000, "text": "x".repeat(60_000) } });
        let mut set = 0;
        let mut answer = client.try_probe(timer(set)).await;
        while answer.get("ok").is_some() {
            set += 1;
            answer = client.try_probe(timer(set)).await;
        }
        assert!(set > 10 && answer.to_string().contains("as many timers"), "{name}: {set}, {answer}");
    }
    let mut client = host.connect("/probe").await;
    client.probe(json!({ "attach": "x".repeat(2 * MIB) })).await;
    assert_eq!(host.host.control().host_figures().memory.closed, 0);
}

/// What connections do not need any more returns to the system: the allocator keeps none of it for large messages to come.
#[tokio::test(flavor = "multi_thread")]
async fn the_system_gets_back_the_memory_of_large_messages() {
    let folder = tempfile::tempdir().unwrap();
    // Few instances, for which some messages wait for long on a busy machine.
    let limits = "limits = { instances = 2, instance_wait = \"2m\", call_timeout = \"2m\" }\n";
    let config = format!("listen = \"127.0.0.1:0\"\n{}{limits}", app("echo", &example("echo")));
    std::fs::write(folder.path().join("hassock.toml"), config).unwrap();
    let process = Process::hassock(folder.path(), ["serve"]);
    let address = process.line("Starting server on ").await;
    let mut clients = join_all((0..150).map(|_| Client::connect(&address, "/echo"))).await;
    let before = process.memory();
    let message = "x".repeat(900_000);
    let echoed = join_all(clients.iter_mut().map(|client| client.ask(message.clone()))).await;
    assert!(echoed.iter().all(|echo| *echo == message));
    let grown = || process.memory().saturating_sub(before);
    eventually("little more memory than before", || async { grown() < 32 << 10 }).await;
    // The connections are still there.
    assert_eq!(clients[0].ask("still here").await, "still here");
}
