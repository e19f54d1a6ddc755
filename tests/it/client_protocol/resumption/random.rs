//! Invariants 1, 2 and 10 for clients whose networks fail at any moment: each message arrives exactly once and in order, in
//! both directions.

use std::collections::VecDeque;
use std::sync::Arc;

use hassock_tests::{Events, Proxy, Speaker, TestHost, within};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

use super::host;

const CLIENTS: u64 = 12;
const MESSAGES: u64 = 600;

/// A client that numbers its messages, and expects each of them back.
struct Echo {
    random: StdRng,
    proxy: Proxy,
    /// Messages that were sent, and that the host may not have handled. The first is the one after `handled`.
    unconfirmed: VecDeque<u64>,
    handled: u64,
    next_sent: u64,
    next_received: u64,
    failures: u32,
}

impl Echo {
    async fn run(mut self, mut speaker: Speaker) -> u32 {
        while self.next_received < MESSAGES {
            self.talk(&mut speaker).await;
            speaker = self.fail(speaker).await;
        }
        speaker.client.close().await;
        self.failures
    }

    /// Send and receive for a while.
    async fn talk(&mut self, speaker: &mut Speaker) {
        for _ in 0..self.random.random_range(1..40) {
            if self.next_received == MESSAGES {
                return;
            }
            for _ in 0..self.random.random_range(0..4) {
                if self.next_sent < MESSAGES {
                    self.unconfirmed.push_back(self.next_sent);
                    self.send(speaker, self.next_sent).await;
                    self.next_sent += 1;
                }
            }
            if self.random.random_bool(0.1) {
                speaker.say(json!({ "type": "heartbeat", "received": speaker.received })).await;
            }
            if self.next_received < self.next_sent {
                let text = speaker.next().await.payload;
                assert_eq!(text, self.next_received.to_string(), "lost, twice or out of order");
                self.next_received += 1;
            }
        }
    }

    async fn send(&self, speaker: &mut Speaker, number: u64) {
        speaker.send(&number.to_string()).await;
    }

    /// Lose the network in one of several ways, and come back.
    async fn fail(&mut self, speaker: Speaker) -> Speaker {
        self.failures += 1;
        let known = speaker.known();
        match self.random.random_range(0..4) {
            // Both sides notice it.
            0 => self.proxy.cut(),
            // What is on its way stays there until the client is back.
            1 => self.proxy.hold(),
            // Only the client notices it.
            2 => self.proxy.end(hassock_tests::Side::Server),
            _ => {}
        }
        let held = self.random.random_bool(0.5).then_some(speaker);
        self.proxy.release();
        let mut again = known.again(&self.proxy.address, "/probe").await;
        drop(held);
        assert_eq!(again.connected["resumed"], true, "{:?}", again.connected);
        let handled = again.connected["received"].as_u64().unwrap();
        for _ in self.handled..handled {
            self.unconfirmed.pop_front();
        }
        self.handled = handled;
        for number in self.unconfirmed.clone() {
            self.send(&mut again, number).await;
        }
        again
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_whenever_networks_fail() {
    let events = Events::new().await;
    let host: Arc<TestHost> = Arc::new(host(&events).await);
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        let host = Arc::clone(&host);
        clients.spawn(async move {
            let proxy = Proxy::start(&host.address()).await;
            let speaker = Speaker::connect(&proxy.address, "/probe").await;
            let echo = Echo {
                random: StdRng::seed_from_u64(seed),
                proxy,
                unconfirmed: VecDeque::new(),
                handled: 0,
                next_sent: 0,
                next_received: 0,
                failures: 0,
            };
            within("everything to arrive", echo.run(speaker)).await
        });
    }
    let failures: u32 = clients.join_all().await.into_iter().sum();
    assert!(failures > 200, "only {failures} failures");
    events.wait("closed", CLIENTS as usize).await;
    assert_eq!(events.assert_each_closed_once().await, CLIENTS as usize);
    assert_eq!(events.of("closed").await.iter().filter(|end| end.starts_with("1005 Client")).count(), CLIENTS as usize);
}
