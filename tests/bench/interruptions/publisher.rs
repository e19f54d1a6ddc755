//! A publisher of numbered messages, which sends again what the host has not confirmed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hassock_tests::Client;
use serde_json::json;
use tokio::time::sleep;

use super::World;

/// Publish until the clients are done. Each message has an id, so that one which is sent again is published once by a host, and
/// clients can tell it if another host published it.
pub(super) async fn publish(world: Arc<World>, publisher: usize, pause: Duration) {
    let mut client = None;
    let mut number = 0;
    while !world.is_over() {
        let Some(connected) = &mut client else {
            match Client::with(&world.address(), "/probe", |_| {}).await {
                Ok(connected) => client = Some(connected),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
            continue;
        };
        let text = format!("{publisher} {number}");
        let command = json!({ "publish-with": { "topic": "numbers", "text": text, "id": text } });
        match connected.try_ask(command.to_string()).await {
            Ok(answer) => {
                assert!(answer.starts_with("{\"ok\""), "{answer}");
                number += 1;
                world.said[publisher].store(number, Ordering::Relaxed);
                sleep(pause).await;
            }
            Err(_) => client = None,
        }
    }
}
