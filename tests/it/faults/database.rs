//! A database that fails in the middle of transactions, in each way that one can: the host serves again afterwards, what
//! was not committed is undone, and each connection was opened and closed once (invariants 2 and 8).

use std::time::Duration;

use hassock_tests::{Client, Events, MariaDb, Proxy, TestHost, app, eventually, guest};
use serde_json::{Value, json};

/// How many connections have a transaction open when it happens.
const CLIENTS: usize = 6;

/// A host whose database is a MariaDB of its own, behind a proxy, and whose module writes events elsewhere.
struct Bench {
    server: MariaDb,
    proxy: Proxy,
    events: Events,
    host: TestHost,
    clients: Vec<Client>,
    observer: Client,
}

impl Bench {
    async fn start() -> Self {
        let server = MariaDb::start().await;
        let proxy = Proxy::start(&server.address()).await;
        let events = Events::new().await;
        let url = server.database().await.replace(&server.address(), &proxy.address);
        let keys = "connect_timeout = \"2s\"\nacquire_timeout = \"2s\"\nquery_timeout = \"1s\"";
        let host = TestHost::start(&format!(
            "[databases.main]\nurl = \"{url}\"\n{keys}\n[databases.events]\nurl = \"{}\"\n{}\
             databases = {{ main = \"read-write\", events = \"read-write\" }}\n\
             [apps.probe.settings]\nevents = true\nevents-in = \"events\"\n",
            events.url(),
            app("probe", &guest("probe")),
        ))
        .await;
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(host.connect("/probe").await);
        }
        let observer = host.connect("/probe?topic=progress").await;
        clients[0].execute("CREATE TABLE t (n INTEGER PRIMARY KEY)", json!([])).await;
        Self { server, proxy, events, host, clients, observer }
    }

    /// Each client inserts its number, and then lets its transaction wait for `last`, before it commits.
    async fn begin(&mut self, last: &str) {
        let begun = json!({ "publish": { "topic": "progress", "text": "begun" } });
        for (number, client) in self.clients.iter_mut().enumerate() {
            let steps = json!([insert(number), begun, { "query": { "sql": last } }, "commit"]);
            client.send(json!({ "transaction": steps }).to_string()).await;
        }
        for _ in 0..CLIENTS {
            assert_eq!(self.observer.text().await, "begun");
        }
    }

    /// No transaction was committed, and every module was told so. No WebSocket has noticed.
    async fn each_has_failed(&mut self) {
        for client in &mut self.clients {
            let answer = client.json().await;
            assert_eq!(answer["ok"][0]["ok"], 1, "{answer}");
            assert!(answer["ok"][2]["error"].is_string(), "{answer}");
            assert!(answer["ok"][3]["error"].is_string(), "what is lost cannot be committed: {answer}");
            assert_eq!(client.ask("still here").await, "still here");
        }
    }

    /// The database works again, and has nothing of the transactions, not even their locks.
    async fn works_again(mut self) {
        for client in &mut self.clients {
            let client = tokio::sync::Mutex::new(client);
            // It waits for the locks of the transactions.
            let reads = json!({ "query": { "sql": "SELECT n FROM t FOR UPDATE" } });
            let works = || async { client.lock().await.try_probe(reads.clone()).await["ok"] == json!([]) };
            eventually("the database to be found again", works).await;
        }
        for (number, client) in self.clients.iter_mut().enumerate() {
            // One that came too late for the host may have been carried out, and nothing else can be in the way now.
            let client = tokio::sync::Mutex::new(client);
            let inserted = || async {
                let answer = client.lock().await.try_probe(insert(number)).await;
                answer["ok"]["affected"] == 1 || answer.to_string().contains("Duplicate entry")
            };
            eventually("an insert", inserted).await;
        }
        let count = self.observer.query("SELECT COUNT(*) FROM t", json!([])).await;
        assert_eq!(count, json!([[{ "s64": CLIENTS }]]));
        drop(self.clients);
        assert_eq!(self.host.drain().await, 0);
        assert_eq!(self.events.assert_each_closed_once().await, CLIENTS + 1);
    }
}

fn insert(number: usize) -> Value {
    json!({ "execute": { "sql": "INSERT INTO t VALUES (?)", "values": [{ "s64": number }] } })
}

const LONG: &str = "SELECT SLEEP(1000)";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_transactions() {
    let mut bench = Bench::start().await;
    bench.begin(LONG).await;
    bench.server.kill();
    bench.each_has_failed().await;
    bench.server.restart().await;
    bench.works_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_in_transactions() {
    let mut bench = Bench::start().await;
    bench.begin(LONG).await;
    bench.server.stop();
    bench.server.restart().await;
    bench.each_has_failed().await;
    bench.works_again().await;
}

/// It keeps its connections and says nothing: only the host's own time limits help.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_in_transactions() {
    let mut bench = Bench::start().await;
    bench.begin("SELECT SLEEP(0.5)").await;
    bench.server.pause();
    bench.each_has_failed().await;
    let late = bench.observer.try_probe(json!({ "query": { "sql": "SELECT 1" } })).await;
    assert!(late["sql"].is_string(), "{late}");
    bench.server.resume();
    bench.works_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_to_the_database_that_is_cut_in_transactions() {
    let mut bench = Bench::start().await;
    bench.begin(LONG).await;
    bench.proxy.cut();
    bench.each_has_failed().await;
    bench.works_again().await;
}

/// Nothing arrives any more, in both directions, and no connection ends: a firewall that has forgotten them.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_to_the_database_that_swallows_everything_in_transactions() {
    let mut bench = Bench::start().await;
    bench.begin("SELECT SLEEP(0.5)").await;
    bench.proxy.hold();
    bench.each_has_failed().await;
    bench.proxy.release();
    bench.works_again().await;
}

/// A slow line only costs time.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_to_the_database_that_is_slow_loses_nothing() {
    let mut bench = Bench::start().await;
    bench.proxy.delay(Duration::from_millis(20));
    bench.begin("SELECT 1").await;
    for client in &mut bench.clients {
        let answer = client.json().await;
        assert_eq!(answer["ok"][3], json!({ "ok": null }), "{answer}");
    }
    bench.clients[0].execute("DELETE FROM t", json!([])).await;
    bench.works_again().await;
}
