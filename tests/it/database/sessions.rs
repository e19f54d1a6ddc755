//! The sessions that a server has.

use futures_util::future::join_all;
use hassock_tests::{MariaDb, Proxy, TestHost, app_with_database, guest};
use serde_json::json;

/// Invariant 5, `max_connections`: a session that is not used again counts until the server has closed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_never_has_more_sessions_than_it_may() {
    let server = MariaDb::shared().await;
    let proxy = Proxy::start(&server.address()).await;
    let url = server.database().await.replace(&server.address(), &proxy.address);
    let app = app_with_database("probe", &guest("probe"), &url);
    let keys = "[databases.main]\nmax_connections = 2\nacquire_timeout = \"60s\"\n";
    let host = TestHost::start(&app.replace("[databases.main]\n", keys)).await;
    // What ends a session is longer under way than what begins one.
    proxy.delay(std::time::Duration::from_millis(2));
    let clients = join_all((0..6).map(|_| host.connect("/probe"))).await;
    join_all(clients.into_iter().map(async |mut client| {
        for _ in 0..10 {
            client.execute("DO 1", json!([])).await;
            client.query("SELECT 1", json!([])).await;
        }
    }))
    .await;
    assert_eq!(proxy.most_connections(), 3, "one of them only reads, for the test of the module");
}
