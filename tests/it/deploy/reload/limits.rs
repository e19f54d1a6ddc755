//! Bounds that change: of connections, of calls, of instances, and of the host.

use std::future::Future;
use std::pin::pin;

use futures_util::FutureExt;
use hassock_tests::{Client, TestHost, app, app_with_database, guest, marked, module_file, refused};
use serde_json::json;

/// An app with the module `probe` and these limits.
fn probe(limits: &str) -> String {
    format!("{}[apps.probe.limits]\n{limits}\n", app_with_database("probe", &guest("probe"), "sqlite::memory:"))
}

/// An app with the module `faults` and these limits.
fn faults(limits: &str) -> String {
    let (database, grant) = ("[databases.main]\nurl = \"sqlite::memory:\"\n", "databases.main = \"read-write\"\n");
    format!(
        "{database}{}{grant}[apps.faults.limits]\ncall_timeout = \"60s\"\n{limits}\n",
        app("faults", &guest("faults"))
    )
}

/// "A connection keeps those that it was opened with": its outbox, and the size of its messages. New ones get new
/// bounds.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_a_connection_are_those_of_its_opening() {
    let host = TestHost::start(&probe("outbox_bytes = \"4KiB\"\nmessage_bytes = \"8KiB\"")).await;
    let (small, large) = ("x".repeat(2_000), "x".repeat(7_500));
    let mut old = host.connect("/probe").await;
    assert!(old.try_probe(json!({ "send-many": [&large] })).await["error"].is_string());

    let report = host.reload(&probe("outbox_bytes = \"64KiB\"\nmessage_bytes = \"7KiB\"")).await.unwrap();
    assert_eq!(report.changes, ["the app `probe` has other grants, limits, settings or origins"]);
    let mut new = host.connect("/probe").await;
    new.send(json!({ "send-many": [&small, &small, &small] }).to_string()).await;
    for _ in 0..3 {
        assert_eq!(new.text().await, small);
    }
    assert_eq!(new.json().await, json!({ "ok": null }));
    assert!(old.try_probe(json!({ "send-many": [&small, &small, &small] })).await["error"].is_string());

    old.send(json!({ "setting": &large }).to_string()).await;
    assert_eq!(old.json().await, json!({ "ok": null }), "the larger message is not too large for the old one");
    new.send(&large).await;
    assert_eq!(new.closed().await.code, 1009);
}

/// A call has the `cpu_time` of the moment when it begins, also on connections that were open before.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_a_call_are_those_of_its_beginning() {
    let host = TestHost::start(&faults("cpu_time = \"60s\"")).await;
    let (mut spinning, mut idle) = (host.connect("/faults").await, host.connect("/faults").await);
    spinning.send("spin").await;
    host.reload(&faults("cpu_time = \"100ms\"")).await.unwrap();
    idle.send("spin").await;
    assert_eq!(idle.closed().await.code, 1011);
    assert!(spinning.closed().now_or_never().is_none(), "the call that was running has its 60 s");
}

/// `instances`: more calls run at the same time, or fewer. Calls that run go on in the instances that there were.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_instances_changes() {
    let config = |instances: u32| faults(&format!("instances = {instances}\ninstance_wait = \"50ms\""));
    let host = TestHost::start(&config(1)).await;
    let mut sleeping = Vec::new();
    for instances in [1, 3, 2] {
        host.reload(&config(instances)).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..instances {
            clients.push(host.connect("/faults").await);
        }
        for client in &mut clients {
            client.send("sleep").await;
        }
        sleeping.append(&mut clients);
        // Wait until all of them sleep.
        let mut refusals = 0;
        while Client::with(&host.address(), "/faults", |_| {}).await.is_ok() {
            refusals += 1;
            assert!(refusals < 1000, "more than {instances} instances");
        }
        assert_eq!(refused(&host.address(), "/faults", |_| {}).await.0, 503);
    }
    for client in &mut sleeping {
        assert!(client.closed().now_or_never().is_none());
    }
}

/// `error_close_code` applies at once, also to connections that were open before.
#[tokio::test(flavor = "multi_thread")]
async fn the_close_code_of_errors_changes() {
    let file = module_file(&marked("v1"));
    let config = app("marked", file.path());
    let host = TestHost::start(&config).await;
    let mut clients = [host.connect("/marked").await, host.connect("/marked").await];
    assert_eq!(clients[0].try_ask("error").await.unwrap_err().code, 1011);
    host.reload(&format!("{config}error_close_code = 4000\n")).await.unwrap();
    assert_eq!(clients[1].try_ask("error").await.unwrap_err().code, 4000);
}

/// A connection that was requested and is not open yet.
fn waiting(host: &TestHost) -> impl Future<Output = Client> {
    let address = host.address();
    async move { Client::connect(&address, "/marked").await }
}

/// `max_connections` grows at once, also for clients that wait already, and shrinks as connections end.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_connections_grows_and_shrinks() {
    let file = module_file(&marked("v1"));
    let config = |most: u32| format!("[limits]\nmax_connections = {most}\n{}", app("marked", file.path()));
    let host = TestHost::start(&config(2)).await;
    let mut open = vec![host.connect("/marked").await, host.connect("/marked").await];
    let mut third = pin!(waiting(&host));
    assert!(third.as_mut().now_or_never().is_none());
    assert_eq!(open[0].served_by().await, "v1");
    assert!(third.as_mut().now_or_never().is_none(), "two are the most");

    let report = host.reload(&config(4)).await.unwrap();
    assert_eq!(report.changes, ["the limits of the host are others"]);
    open.push(third.await);
    open.push(waiting(&host).await);
    assert_eq!(host.host.connections(), 4);

    host.reload(&config(2)).await.unwrap();
    let mut next = pin!(waiting(&host));
    for left in [3, 2] {
        for client in &mut open {
            assert_eq!(client.served_by().await, "v1", "no connection is closed for that");
        }
        open.pop().unwrap().close().await;
        hassock_tests::eventually("the end", || async { host.host.connections() == left }).await;
        assert!(next.as_mut().now_or_never().is_none(), "{left} are too many");
    }
    open.pop().unwrap().close().await;
    assert_eq!(next.await.served_by().await, "v1");
}

/// `connections_per_address` applies to new connections.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_connections_of_an_address_changes() {
    let file = module_file(&marked("v1"));
    let config = |most: u32| format!("[limits]\nconnections_per_address = {most}\n{}", app("marked", file.path()));
    let host = TestHost::start(&config(1)).await;
    let mut first = host.connect("/marked").await;
    assert_eq!(refused(&host.address(), "/marked", |_| {}).await.0, 429);
    host.reload(&config(2)).await.unwrap();
    let mut second = host.connect("/marked").await;
    host.reload(&config(1)).await.unwrap();
    assert_eq!(refused(&host.address(), "/marked", |_| {}).await.0, 429);
    assert_eq!((first.served_by().await, second.served_by().await), ("v1".to_owned(), "v1".to_owned()));
}
