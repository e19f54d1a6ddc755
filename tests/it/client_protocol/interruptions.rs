//! Invariant 10 over real sockets: clients whose connections break again and again, while others publish.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hassock_tests::{Speaker, TestHost};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const PUBLISHERS: usize = 3;
const MESSAGES: usize = 400;
const CLIENTS: usize = 8;

/// What a client remembers.
struct Listener {
    position: Option<String>,
    /// The number of each publisher that has to come next.
    next: [usize; PUBLISHERS],
    interruptions: usize,
}

impl Listener {
    /// Read until the connection breaks, which it does after so many messages, or until everything has come.
    async fn listen(&mut self, address: &str, messages: usize) {
        let since = self.position.as_ref().map_or(json!({}), |position| json!({ "kept": position }));
        let mut speaker = Speaker::since(address, "/probe?topic=kept", since).await;
        let joined = speaker.next().await.header;
        assert_eq!(joined["recovered"], json!(self.position.is_some()), "{joined}");
        self.position = joined["position"].as_str().map(str::to_owned);
        for _ in 0..messages {
            if self.has_everything() {
                return;
            }
            let spoken = speaker.next().await;
            let (publisher, number) = spoken.payload.split_once(' ').unwrap();
            let next = &mut self.next[publisher.parse::<usize>().unwrap()];
            assert_eq!(number.parse::<usize>().unwrap(), *next, "missed, twice or out of order");
            *next += 1;
            self.position = Some(spoken.position());
        }
        self.interruptions += 1;
        // Without a word.
        drop(speaker);
    }

    fn has_everything(&self) -> bool {
        self.next.iter().all(|next| *next == MESSAGES)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_miss_nothing_whenever_their_connections_break() {
    let history = "[apps.probe.topics.\"kept\"]\nhistory = 10000\nkeep = \"60s\"\n";
    let host = Arc::new(TestHost::probe(history).await);
    let mut clients = JoinSet::new();
    let waiting = Arc::new(AtomicUsize::new(0));
    for client in 0..CLIENTS {
        let (host, waiting) = (Arc::clone(&host), Arc::clone(&waiting));
        clients.spawn(async move {
            let mut listener = Listener { position: None, next: [0; PUBLISHERS], interruptions: 0 };
            listener.listen(&host.address(), 0).await;
            waiting.fetch_add(1, Ordering::Relaxed);
            while !listener.has_everything() {
                listener.listen(&host.address(), 1 + (client * 7 + listener.interruptions * 5) % 40).await;
            }
            listener.interruptions
        });
    }
    hassock_tests::eventually("each has a position", async || waiting.load(Ordering::Relaxed) == CLIENTS).await;
    for publisher in 0..PUBLISHERS {
        let mut client = host.connect("/probe").await;
        clients.spawn(async move {
            for number in 0..MESSAGES {
                let text = format!("{publisher} {number}");
                let command: Value = json!({ "publish": { "topic": "kept", "text": text } });
                client.probe(command).await;
            }
            0
        });
    }
    let interruptions: usize = clients.join_all().await.into_iter().sum();
    assert!(interruptions > 100, "only {interruptions} interruptions");
}
