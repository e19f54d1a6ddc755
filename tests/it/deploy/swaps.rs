//! One version after the other under open connections (invariants 3 and 7).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::{SinkExt, future};
use hassock::deploy::VersionStatus;
use hassock_tests::{Client, SeparateHost, TestHost, eventually, within};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// The two versions that take turns.
const NAMES: [&str; 2] = ["even", "odd"];

/// Connections that talk all the time, and how many messages of each are under way.
const CONNECTIONS: usize = 200;
const WINDOW: usize = 4;

/// Swaps after which the host has all that it needs, and swaps that must not make it need more.
const FIRST_SWAPS: usize = 100;
const SWAPS: usize = 1000;

/// Which versions may serve. The swaps are numbered, and the number of a swap is that of the version that it brings.
struct Turns {
    begun: AtomicUsize,
    done: AtomicUsize,
    /// The last one that is known to have served a message.
    served: watch::Sender<usize>,
    is_over: AtomicBool,
}

impl Turns {
    fn new() -> Arc<Self> {
        let served = watch::Sender::new(0);
        Arc::new(Self { begun: 0.into(), done: 0.into(), served, is_over: false.into() })
    }
}

/// Send numbered messages without pause until the test is over. None is lost, repeated or reordered. Each is answered
/// by a version that served between its sending and its answer, and that is not older than that of the answer before.
/// Returns how many there were.
async fn talk(mut client: Client, turns: Arc<Turns>) -> usize {
    let mut under_way = VecDeque::new();
    let (mut sent, mut received, mut last) = (0, 0, 0);
    loop {
        while under_way.len() < WINDOW && !turns.is_over.load(Ordering::SeqCst) {
            under_way.push_back(turns.done.load(Ordering::SeqCst));
            client.socket.feed(Message::text(sent.to_string())).await.unwrap();
            sent += 1;
        }
        client.socket.flush().await.unwrap();
        let Some(at_sending) = under_way.pop_front() else { break };
        let reply = client.text().await;
        let at_reply = turns.begun.load(Ordering::SeqCst);
        let (name, number) = reply.split_once(' ').unwrap();
        assert_eq!(number, received.to_string());
        let possible = at_sending.max(last)..=at_reply;
        let served = possible.clone().find(|turn| NAMES[turn % 2] == name);
        last = served.unwrap_or_else(|| panic!("`{reply}` is not from any of the versions {possible:?}"));
        if at_sending == at_reply {
            turns.served.send_if_modified(|served| at_reply > std::mem::replace(served, at_reply.max(*served)));
        }
        received += 1;
    }
    client.close().await;
    received
}

/// Invariant 7: "A swap loses and reorders nothing", not even a thousand of them, and none leaves anything behind: no
/// memory, no open files, no versions.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_swaps_lose_nothing_and_leave_nothing_behind() {
    if SeparateHost::is_this_process().await {
        return;
    }
    let name = "deploy::swaps::a_thousand_swaps_lose_nothing_and_leave_nothing_behind";
    let mut host = SeparateHost::start(name, NAMES[0], "").await;
    let turns = Turns::new();
    let mut served = turns.served.subscribe();
    let mut clients = JoinSet::new();
    for client in future::join_all((0..CONNECTIONS).map(|_| Client::connect(&host.address, "/marked"))).await {
        clients.spawn(talk(client, Arc::clone(&turns)));
    }
    let mut before = host.usage();
    for turn in 1..=FIRST_SWAPS + SWAPS {
        turns.begun.store(turn, Ordering::SeqCst);
        host.deploy(NAMES[turn % 2]).await;
        turns.done.store(turn, Ordering::SeqCst);
        // This number is odd, so the test waits for both versions.
        if turn % 7 == 0 {
            within("a message that only this version can have served", served.wait_for(|served| *served >= turn))
                .await
                .unwrap();
        }
        if turn == FIRST_SWAPS {
            before = host.usage();
        }
    }
    let (after, report) = (host.usage(), host.report().await);
    turns.is_over.store(true, Ordering::SeqCst);
    while let Some(client) = within("the end of a client", clients.join_next()).await {
        assert!(client.unwrap() > SWAPS / 10, "a client talked too little");
    }
    assert!(after.resident * 10 <= before.resident * 11, "memory: {before:?}, then {after:?}");
    assert_eq!((after.files, after.code), (before.files, before.code));
    assert_eq!(report.versions.len(), 2, "{report:?}");
    assert_eq!(report.counts.deploys as usize, FIRST_SWAPS + SWAPS);
    host.end().await;
}

/// Versions that are not kept are dropped, with their compiled code and all that was open for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_kept_gives_back_its_code() {
    if SeparateHost::is_this_process().await {
        return;
    }
    let name = "deploy::swaps::a_version_that_is_not_kept_gives_back_its_code";
    let mut host = SeparateHost::start(name, "v0", "keep_versions = 0").await;
    // Versions without a connection are dropped at once.
    host.deploy("v1").await;
    host.deploy("v2").await;
    eventually("one version's code, in one place", || async { host.usage().code == 1 }).await;
    let before = host.usage();
    let mut client = Client::connect(&host.address, "/marked").await;
    // Those with one are dropped when it moves.
    for mark in ["v3", "v4"] {
        let version = host.deploy(mark).await;
        assert_eq!(client.ask("who").await, format!("{mark} who"));
        let report = host.report().await;
        assert_eq!(report.versions.len(), 1, "{report:?}");
        assert_eq!((&report.versions[0].version, report.versions[0].connections), (&version, 1));
        eventually("one version's code, in one place", || async { host.usage().code == 1 }).await;
    }
    client.close().await;
    eventually("no more files than before", || async { host.usage().files == before.files }).await;
    host.end().await;
}

/// Invariant 7: a call that runs during the swap ends in the version where it began and is answered; the new version
/// gets the next one. Invariant 1: they stay in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_ends_in_its_version() {
    let host = TestHost::marked("old", "").await;
    // Compiled and kept, so that the swap is quicker than the call.
    host.deploy("new").await;
    host.deploy("old").await;
    let mut client = host.connect("/marked").await;
    let mut other = host.connect("/marked").await;
    client.send("nap").await;
    assert_eq!(client.text().await, "old naps");
    client.send("next").await;
    host.deploy("new").await;
    assert_eq!(other.ask("meanwhile").await, "new meanwhile");
    assert_eq!(client.text().await, "old woke with old");
    assert_eq!(client.text().await, "new next");
}

/// Invariant 3: what belongs to the connection stays when its version goes: timers, topics, the attachment.
#[tokio::test(flavor = "multi_thread")]
async fn timers_topics_and_attachments_outlive_their_version() {
    let host = TestHost::marked("old", "keep_versions = 0").await;
    let mut client = host.connect("/marked?topic=events").await;
    assert_eq!(client.ask("attach").await, "done");
    client.send("timer 2000").await;
    assert_eq!(client.ask("attachment").await, "old changed");
    let new = host.deploy("new").await;
    eventually("the end of the old version", || async { host.standings().len() == 1 }).await;
    assert_eq!(host.standings(), [(new, VersionStatus::Serving)]);
    assert_eq!(client.ask("attachment").await, "old changed");
    host.connect("/marked").await.send("nap").await;
    // The timer may come first.
    let mut came = [client.text().await, client.text().await, client.text().await];
    came.sort();
    assert_eq!(came, ["new closed 1006", "new fired", "new naps"]);
}

/// Invariant 7: connections that say nothing move as well, so that they do not hold the old version; it is then
/// unloaded with `keep_versions = 0`.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_move_too() {
    // Nothing but the swap wakes them.
    let host = TestHost::marked("old", "keep_versions = 0\nlimits.keepalive = \"1h\"").await;
    let mut clients = future::join_all((0..50).map(|_| host.connect("/marked"))).await;
    assert_eq!(host.version(&host.serving("marked")).connections, 50);
    let new = host.deploy("new migrate").await;
    eventually("the end of the old version", || async { host.standings().len() == 1 }).await;
    assert_eq!(host.version(&new).connections, 50);
    assert_eq!(host.report("marked").counts.migrations, 50);
    for client in &mut clients {
        assert_eq!(client.ask("attachment").await, "old new");
    }
}

/// The same if a migration found no free instance: it is tried again, and the client does not have to say anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_moves_when_an_instance_is_free_again() {
    let limits = "limits = { instances = 1, instance_wait = \"50ms\", keepalive = \"2s\" }";
    let host = TestHost::marked("old", &format!("keep_versions = 0\n{limits}")).await;
    let (mut busy, silent) = (host.connect("/marked").await, host.connect("/marked").await);
    busy.send("nap").await;
    assert_eq!(busy.text().await, "old naps");
    let new = host.deploy("new migrate").await;
    // The clients must read, or they do not answer the host's pings.
    let _clients: JoinSet<_> =
        [busy, silent].map(|mut client| async move { client.closed().await }).into_iter().collect();
    eventually("the end of the old version", || async { host.standings() == [(new.clone(), VersionStatus::Serving)] })
        .await;
    assert_eq!(host.version(&new).connections, 2);
}

/// `keep_versions`: this many stay for a rollback, and the others are unloaded. Kept ones are the same as before when
/// they serve again, and unloaded ones can be deployed again.
#[tokio::test(flavor = "multi_thread")]
async fn versions_beyond_keep_versions_are_unloaded() {
    let host = TestHost::marked("v0", "keep_versions = 2").await;
    let mut client = host.connect("/marked").await;
    let mut versions = vec![host.serving("marked")];
    for mark in ["v1", "v2", "v3", "v4"] {
        versions.push(host.deploy(mark).await);
        assert_eq!(client.ask("who").await, format!("{mark} who"));
    }
    let standings = |expected: [(usize, VersionStatus); 3]| {
        let (host, expected) = (&host, expected.map(|(version, state)| (versions[version].clone(), state)));
        async move {
            eventually(&format!("{expected:?}"), || async { host.standings() == expected }).await;
        }
    };
    standings([(4, VersionStatus::Serving), (3, VersionStatus::Kept), (2, VersionStatus::Kept)]).await;

    let outcome = host.host.control().rollback("marked").unwrap();
    assert_eq!((&outcome.version, outcome.previous.as_ref()), (&versions[3], Some(&versions[4])));
    assert_eq!(client.ask("back").await, "v3 back");
    standings([(4, VersionStatus::RolledBack), (3, VersionStatus::Serving), (2, VersionStatus::Kept)]).await;

    let calls = host.version(&versions[2]).calls;
    assert_eq!(host.deploy("v2").await, versions[2]);
    assert_eq!(client.ask("again").await, "v2 again");
    standings([(2, VersionStatus::Serving), (4, VersionStatus::RolledBack), (3, VersionStatus::Kept)]).await;
    assert!(host.version(&versions[2]).calls > calls, "it goes on counting");

    assert_eq!(host.deploy("v0").await, versions[0]);
    assert_eq!(client.ask("first").await, "v0 first");
    standings([(0, VersionStatus::Serving), (2, VersionStatus::Kept), (4, VersionStatus::RolledBack)]).await;
}
