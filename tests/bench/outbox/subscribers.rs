//! Clients that subscribe to one topic each, come back when the host was killed, and note what they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hassock_tests::{Client, eventually};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::Shared;

/// How long a client waits before it tries to connect again.
const AGAIN: Duration = Duration::from_millis(20);

/// How long nothing may come before a client looks whether it should end.
const QUIET: Duration = Duration::from_millis(500);

/// A message, and when it came.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub text: String,
    pub at: Instant,
}

/// One client for each topic.
pub struct Subscribers {
    arrived: Vec<Shared<Vec<Arrived>>>,
    count: Arc<AtomicUsize>,
    connected: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Subscribers {
    pub fn start(address: &str, topics: usize) -> Self {
        let mut subscribers = Self {
            arrived: (0..topics).map(|_| Shared::default()).collect(),
            count: Arc::default(),
            connected: Arc::default(),
            is_over: Arc::default(),
            tasks: JoinSet::new(),
        };
        for (topic, arrived) in subscribers.arrived.iter().enumerate() {
            let subscriber = Subscriber {
                path: format!("/probe?topic=t{topic}"),
                address: address.to_owned(),
                arrived: Arc::clone(arrived),
                count: Arc::clone(&subscribers.count),
                connected: Arc::clone(&subscribers.connected),
                is_over: Arc::clone(&subscribers.is_over),
            };
            subscribers.tasks.spawn(subscriber.live());
        }
        subscribers
    }

    /// Wait until each has connected to so many hosts, one after the other.
    pub async fn have_connected(&self, hosts: usize) {
        let have = || async { self.connected.load(Ordering::Relaxed) >= self.arrived.len() * hosts };
        eventually("the subscribers to connect", have).await;
    }

    /// Wait until the host with this number, counted from 1, has published something. What those before it have sent has arrived when
    /// all are connected to this one.
    pub async fn get_messages_of_host(&self, number: usize) {
        self.have_connected(number).await;
        let before = self.count.load(Ordering::Relaxed);
        let more = || async { self.count.load(Ordering::Relaxed) > before };
        eventually("messages after a start", more).await;
    }

    /// What each has got, when nothing comes any more.
    pub async fn end(self) -> Vec<Vec<Arrived>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        self.arrived.iter().map(|arrived| arrived.lock().clone()).collect()
    }
}

struct Subscriber {
    path: String,
    address: String,
    arrived: Shared<Vec<Arrived>>,
    count: Arc<AtomicUsize>,
    connected: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Subscriber {
    async fn live(self) {
        while !self.is_over.load(Ordering::Relaxed) {
            match Client::with(&self.address, &self.path, |_| {}).await {
                Ok(client) => {
                    self.connected.fetch_add(1, Ordering::Relaxed);
                    self.listen(client).await;
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn listen(&self, mut client: Client) {
        loop {
            match timeout(QUIET, client.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    self.arrived.lock().push(Arrived { text: text.to_string(), at: Instant::now() });
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return,
                Ok(Some(Ok(_))) => {}
                Err(_) if self.is_over.load(Ordering::Relaxed) => return,
                Err(_) => {}
            }
        }
    }
}
