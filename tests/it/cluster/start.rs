//! A host that joins a cluster, or cannot.

use hassock_tests::app_with_database;

use super::*;

async fn error(table: &str) -> String {
    let app = app_with_database("probe", &hassock_tests::guest("probe"), "sqlite::memory:");
    match TestHost::try_start(&format!("{app}{table}")).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("the host starts"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_nats_does_not_start() {
    let nowhere = hassock_tests::nats::table("127.0.0.1:1") + "connect_timeout = \"200ms\"\n";
    let found = error(&nowhere).await;
    assert!(found.starts_with("no server of NATS at nats://127.0.0.1:1 can be used: "), "{found}");
    let nats = Nats::with(&[]).await;
    let found = error(&nats.table()).await;
    assert!(found.contains("enable JetStream"), "{found}");
    let nats = Nats::with(&["-js", "--auth", "hunter2-token"]).await;
    let found = error(&(nats.table() + "connect_timeout = \"2s\"\ntoken = \"wrong\"\n")).await;
    assert!(found.contains("can be used: authorization violation") && !found.contains("hunter2"), "{found}");
    host_at(&nats.address(), "token = \"hunter2-token\"\n").await;
}
