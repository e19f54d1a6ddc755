//! The life of connections, instances and versions (invariants 2, 3 and 7).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hassock_tests::{
    Client, Events, TestDatabase, TestHost, app, app_with_database, eventually, guest, refused, within,
};
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const SETTINGS: &str = "[apps.probe.settings]\nevents = \"1\"\n[apps.probe.limits]\ninstances = 8";

/// How many connections end in each way.
const EACH: usize = 6;

/// The connection's own id.
async fn id(client: &mut Client) -> i64 {
    client.probe(json!("attachment")).await["opened"].as_i64().unwrap()
}

/// The rows of `event` in their order: connection, kind, detail.
async fn events(database: &TestDatabase) -> Vec<(i64, String, String)> {
    let mut file = SqliteConnection::connect(&database.url).await.unwrap();
    let query = sqlx::query_as("SELECT connection, kind, detail FROM event ORDER BY rowid");
    query.fetch_all(&mut file).await.unwrap()
}

/// Invariant 2: exactly one `open` and one `closed` for each connection, in this order, however it ended.
#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_opened_once_and_closed_once() {
    let database = TestDatabase::sqlite();
    let host = database.serve("probe", "", SETTINGS).await;
    let mut expected: BTreeMap<i64, &str> = BTreeMap::new();
    for _ in 0..EACH {
        let mut client = host.connect("/probe").await;
        expected.insert(id(&mut client).await, "4000 Client bye");
        let frame = CloseFrame { code: 4000.into(), reason: "bye".into() };
        client.socket.close(Some(frame)).await.unwrap();
        client.closed().await;

        let mut client = host.connect("/probe").await;
        expected.insert(id(&mut client).await, "1005 Client ");
        client.close().await;

        let mut client = host.connect("/probe").await;
        expected.insert(id(&mut client).await, "1006 Transport ");
        // Without a TCP FIN: queued bytes are discarded, and the peer gets a reset.
        client.socket.get_ref().set_zero_linger().unwrap();
        drop(client);

        let mut client = host.connect("/probe").await;
        expected.insert(id(&mut client).await, "1006 Transport ");
        drop(client);

        let mut client = host.connect("/probe").await;
        expected.insert(id(&mut client).await, "4001 Module enough");
        client.send(json!({ "close": { "code": 4001, "reason": "enough" } }).to_string()).await;
        assert_eq!(client.closed().await.code, 4001);

        for command in [json!("trap"), json!({ "fail": "told to" })] {
            let mut client = host.connect("/probe").await;
            expected.insert(id(&mut client).await, "1011 Host ");
            client.send(command.to_string()).await;
            assert_eq!(client.closed().await.code, 1011);
        }
    }
    // The last ones are still there when the host drains; they answer its close frame.
    let mut left = Vec::new();
    for _ in 0..EACH {
        let mut client = host.connect("/probe").await;
        expected.insert(id(&mut client).await, "1001 Host ");
        left.push(tokio::spawn(async move { client.closed().await.code }));
    }
    assert_eq!(host.drain().await, 0);
    for client in left {
        assert_eq!(client.await.unwrap(), 1001);
    }

    let mut seen: BTreeMap<i64, Vec<(String, String)>> = BTreeMap::new();
    for (connection, kind, detail) in events(&database).await {
        seen.entry(connection).or_default().push((kind, detail));
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (connection, events) in &seen {
        let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["open", "closed"], "connection {connection}");
        assert!(events[1].1.starts_with(expected[connection]), "{}: {events:?}", expected[connection]);
    }
}

/// Invariant 2 for clients that go away during the handshake: if `open` accepted them, `closed` follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_during_the_handshake_is_closed() {
    let database = TestDatabase::sqlite();
    let host = database.serve("probe", "", SETTINGS).await;
    // The first one creates the table.
    host.connect("/probe").await.close().await;
    eventually("the end of the first", || async { host.host.connections() == 0 }).await;
    for opened in 2..=EACH + 1 {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let request = "GET /probe?open=slow HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let count = || database.number("SELECT COUNT(*) FROM event WHERE kind = 'open'");
        eventually("the module's open", || async { count().await == i64::try_from(opened).unwrap() }).await;
        drop(stream);
        eventually("the end of the connection", || async { host.host.connections() == 0 }).await;
    }
    assert_eq!(host.drain().await, 0);
    let kinds: Vec<_> = events(&database).await.into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["open", "closed"].repeat(EACH + 1));
}

/// Invariant 2: `closed` comes for accepted connections only; a refused client has no connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_never_closed() {
    let database = TestDatabase::sqlite();
    let host = database.serve("probe", "", SETTINGS).await;
    for _ in 0..EACH {
        assert_eq!(refused(&host.address(), "/probe?open=refuse", |_| {}).await.0, 403);
    }
    // The module accepts with an invalid answer, so it assumes that it has a connection.
    for _ in 0..EACH {
        assert_eq!(refused(&host.address(), "/probe?open=strange-header", |_| {}).await.0, 500);
    }
    assert_eq!(host.drain().await, 0);
    let kinds: Vec<_> = events(&database).await.into_iter().map(|(_, kind, _)| kind).collect();
    let expected = [["open"].repeat(EACH), ["open", "closed"].repeat(EACH)].concat();
    assert_eq!(kinds, expected);
}

/// Everything that outlives a call, as two clients see it.
async fn transcript(limits: &str) -> Vec<String> {
    let host = TestHost::probe(&format!("[apps.probe.limits]\n{limits}\n")).await;
    let (mut one, mut two) = (host.connect("/probe?topic=news").await, host.connect("/probe").await);
    let mut seen = Vec::new();
    for round in 0..3 {
        seen.push(one.ask(format!("echo {round}")).await);
        let commands = [
            json!("attachment"),
            json!({ "attach": { "round": round } }),
            json!("attachment"),
            json!({ "subscribe": format!("topic {round}") }),
            json!({ "timer": { "name": "late", "after_ms": 3_600_000, "text": "never" } }),
            json!({ "cancel-timer": "late" }),
            json!({ "cancel-timer": "late" }),
        ];
        for command in commands {
            seen.push(one.probe(command).await.to_string());
        }
        let topic = format!("topic {round}");
        seen.push(two.probe(json!({ "publish": { "topic": topic, "text": "to one" } })).await.to_string());
        seen.push(one.text().await);
        seen.push(two.probe(json!({ "subscribers": "news" })).await.to_string());
        seen.push(two.probe(json!({ "publish": { "topic": "news", "text": "extra" } })).await.to_string());
        seen.push(one.text().await);
        // The answer comes before what the timer sends.
        for command in [json!({ "timer": { "name": "soon", "after_ms": 20, "text": "fired" } })] {
            seen.push(two.probe(command).await.to_string());
            seen.push(two.text().await);
        }
    }
    seen
}

/// Invariant 3: what outlives a call is not in an instance, so a fresh one for each call changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_instance_for_each_call_changes_nothing() {
    let fresh = transcript("instance_calls = 1").await;
    let reused = transcript("instances = 1").await;
    assert_eq!(fresh, reused);
    assert!(fresh.contains(&r#"{"round":2}"#.to_owned()), "{fresh:?}");
    assert_eq!(fresh.iter().filter(|line| line.contains("fired")).count(), 3);
}

/// `instance_calls`: "Calls after which an instance is replaced by a fresh one", and before which it is not.
#[tokio::test(flavor = "multi_thread")]
async fn instances_are_reused_and_replaced() {
    for (limits, expected) in [
        ("instance_calls = 1", [1, 1, 1, 1, 1, 1]),
        // One of its calls is the `open`.
        ("instances = 1\ninstance_calls = 3", [1, 2, 1, 2, 3, 1]),
        ("instances = 1", [1, 2, 3, 4, 5, 6]),
    ] {
        let host = TestHost::probe(&format!("[apps.probe.limits]\n{limits}\n")).await;
        let mut client = host.connect("/probe").await;
        let mut calls = Vec::new();
        for _ in expected {
            calls.push(client.probe(json!("calls")).await);
        }
        assert_eq!(json!(calls), json!(expected), "{limits}");
    }
}

/// A copy of the probe module that can be replaced.
struct Replaceable {
    folder: TempDir,
    versions: u8,
}

impl Replaceable {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(guest("probe"), folder.path().join("probe.wasm")).unwrap();
        Self { folder, versions: 0 }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("probe.wasm")
    }

    async fn serve(&self) -> TestHost {
        let database = "[databases.main]\nurl = \"sqlite::memory:\"\n";
        let app = app("probe", &self.file());
        // On a busy machine a compile takes long, and clients that wait for it here read no pings.
        let rest = "databases.main = \"read-write\"\n[apps.probe.limits]\ninstances = 1\nkeepalive = \"10m\"\n";
        TestHost::start(&format!("{database}{app}{rest}")).await
    }

    /// The same module as another version: with a custom section that has no effect.
    fn renew(&mut self) {
        self.versions += 1;
        let mut bytes = fs::read(guest("probe")).unwrap();
        bytes.extend([0, 3, 1, b'v', self.versions]);
        fs::write(self.file(), bytes).unwrap();
    }
}

/// Invariant 7: "A swap loses and reorders nothing", and connections stay, with all their state.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_connections_and_their_order() {
    let mut module = Replaceable::new();
    let host = module.serve().await;
    let mut keeper = host.connect("/probe?topic=news").await;
    keeper.probe(json!({ "attach": "mine" })).await;
    keeper.probe(json!({ "timer": { "name": "t", "after_ms": 300, "text": "survived" } })).await;

    let (running, observed) = watch::channel(true);
    let mut tasks = JoinSet::new();
    for client in 0..4 {
        let (mut socket, observed) = (host.connect("/probe").await, observed.clone());
        tasks.spawn(async move {
            let (mut sent, mut received) = (0, 0);
            // Fifty are always in flight.
            while *observed.borrow() || received < sent {
                if *observed.borrow() {
                    socket.send(format!("{client}:{sent}")).await;
                    sent += 1;
                }
                if sent - received >= 50 || !*observed.borrow() {
                    assert_eq!(socket.text().await, format!("{client}:{received}"));
                    received += 1;
                }
            }
        });
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        module.renew();
        ids.push(host.host.control().deploy_file("probe").await.unwrap().expect("a new version").version);
    }
    running.send(false).unwrap();
    while let Some(done) = within("a client", tasks.join_next()).await {
        done.unwrap();
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "each is a version of its own: {ids:?}");

    assert_eq!(keeper.json().await, json!({ "fired": "t", "text": "survived" }));
    assert_eq!(keeper.probe(json!("attachment")).await, "mine");
    let mut other = host.connect("/probe").await;
    assert_eq!(other.probe(json!({ "publish": { "topic": "news", "text": "still here" } })).await, 1);
    assert_eq!(keeper.text().await, "still here");
}

/// Invariant 7: the next call goes to the new version, in a fresh instance.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_serves_the_new_version() {
    let mut module = Replaceable::new();
    let host = module.serve().await;
    let mut client = host.connect("/probe").await;
    for calls in 1..=3 {
        assert_eq!(client.probe(json!("calls")).await, calls);
    }
    module.renew();
    host.host.control().deploy_file("probe").await.unwrap();
    assert_eq!(client.probe(json!("calls")).await, 1);
}

/// Invariant 7: "A module that fails to compile, link or pass its check never receives traffic; the running version
/// stays", with the same instance.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_module_does_not_replace_the_old_one() {
    let module = Replaceable::new();
    let host = module.serve().await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.probe(json!("calls")).await, 1);
    let good = fs::read(guest("probe")).unwrap();
    let broken: [(&[u8], &str); 4] = [
        (b"no module", "is not WebAssembly"),
        (&good[..good.len() - 100], "does not compile"),
        (b"\0asm\x0d\0\x01\0", "does not export"),
        (b"", "is not WebAssembly"),
    ];
    for (calls, (bytes, reason)) in (2..).zip(broken) {
        fs::write(module.file(), bytes).unwrap();
        let error = host.host.control().deploy_file("probe").await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(client.probe(json!("calls")).await, calls);
    }
    fs::remove_file(module.file()).unwrap();
    assert!(host.host.control().deploy_file("probe").await.unwrap_err().to_string().contains("cannot read the module"));
    assert!(
        host.host.control().deploy_file("nobody").await.unwrap_err().to_string().contains("there is no app `nobody`")
    );
    assert_eq!(client.probe(json!("calls")).await, 6);
    assert_eq!(host.connect("/probe").await.ask("new ones too").await, "new ones too");
}

/// Invariant 2, whatever `instance_wait` says: a `closed` waits for an instance for as long as it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_app_hears_of_each_end() {
    let events = Events::new().await;
    let limits = "limits = { instances = 2, instance_wait = \"50ms\" }";
    let settings = "settings = { events = true, closed = \"slow\" }";
    let config = app_with_database("probe", &guest("probe"), &events.url());
    let host = TestHost::start(&format!("{config}{limits}\n{settings}\n")).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(host.connect("/probe").await);
    }
    drop(clients);
    eventually("all ends", || async { host.host.connections() == 0 }).await;
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 60);
}

/// Invariant 2: a call may last longer than the host has to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_running_when_the_host_stops_does_not_cost_its_connection_the_end() {
    let events = Events::new().await;
    let host = events.host("[apps.probe.limits]\ncall_timeout = \"1h\"\n[limits]\ndrain_timeout = \"4s\"").await;
    let mut client = host.connect("/probe").await;
    client.send("\"sleep\"").await;
    assert_eq!(client.text().await, "asleep");
    let closed = tokio::spawn(async move { client.closed().await });
    assert_eq!(host.drain().await, 0);
    assert_eq!(closed.await.unwrap().code, 1001);
    assert_eq!(events.assert_each_closed_once().await, 1);
    assert_eq!(events.of("closed").await, ["1001 Host the host is stopping"]);
}
