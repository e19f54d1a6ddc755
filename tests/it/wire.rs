//! The WebSocket protocol as clients see it: order, fragments, limits, close codes.

use hassock_tests::TestHost;

/// Issue: two hundred connections, a thousand numbered messages each, all answered in order.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_get_every_message_back_in_order() {
    let host = TestHost::probe("").await;
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..200 {
        let mut socket = host.connect("/probe").await;
        tasks.spawn(async move {
            for number in 0..1000 {
                socket.send(format!("{client}:{number}")).await;
            }
            for number in 0..1000 {
                assert_eq!(socket.text().await, format!("{client}:{number}"));
            }
            socket.close().await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(host.drain().await, 0);
}
