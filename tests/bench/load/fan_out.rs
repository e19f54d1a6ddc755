//! A client that publishes, and clients that receive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::client::{connect, expect, from_server, open, to_server};
use super::{Load, PUBLISH, ROUND, Round, SUBSCRIBE, TEXT, rate};
use crate::server::Server;

/// How many published messages have not been answered.
const PUBLISHING: usize = 4;

/// How many messages a subscriber may lag behind. Without a bound, the servers would measure how many bytes the kernel
/// keeps, and a server that answers before it delivers would close its subscribers as too slow.
const LAG: usize = 256;

pub struct FanOut {
    server: Server,
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
}

/// The text of each published message.
pub fn published() -> String {
    "x".repeat(64)
}

impl FanOut {
    pub async fn new(server: Server, subscribers: usize) -> Self {
        let subscribers = open(&server, SUBSCRIBE, subscribers).await;
        let publisher = connect(&server.address, PUBLISH).await;
        Self { server, publisher, subscribers }
    }
}

impl Load for FanOut {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        let Self { server, publisher, subscribers } = self;
        rate(server, fan_out(publisher, subscribers)).boxed_local()
    }
}

/// Returns the number of deliveries. It ends when the last one has arrived.
async fn fan_out(publisher: &mut TcpStream, subscribers: &mut Vec<TcpStream>) -> usize {
    let (text, subscriber_count) = (published(), subscribers.len());
    let publish = to_server(TEXT, format!("{{\"publish\":{{\"topic\":\"news\",\"text\":\"{text}\"}}}}").as_bytes());
    let answer = from_server(TEXT, format!("{{\"ok\":{subscriber_count}}}").as_bytes());
    let delivery = from_server(TEXT, text.as_bytes());
    let (total, wanted) = tokio::sync::watch::channel(None);
    let mut tasks = JoinSet::new();
    // The bytes that have arrived at all subscribers.
    let arrived = Arc::new(AtomicUsize::new(0));
    for mut socket in subscribers.drain(..) {
        let arrived = Arc::clone(&arrived);
        let (expected, mut wanted) = (delivery.repeat(64), wanted.clone());
        let length = delivery.len();
        tasks.spawn(async move {
            let (mut received, mut buffer) = (0, vec![0; expected.len()]);
            loop {
                let total: Option<usize> = *wanted.borrow_and_update();
                if total == Some(received) {
                    return socket;
                }
                tokio::select! {
                    read = socket.read(&mut buffer) => {
                        let bytes = read.expect("a delivery");
                        assert_ne!(bytes, 0, "a subscriber was disconnected");
                        let at = received % length;
                        let (first, second) = (&expected[at..], &expected);
                        let same = buffer[..bytes].iter().eq(first.iter().chain(second).take(bytes));
                        assert!(same, "a delivery is not what was published: {}", String::from_utf8_lossy(&buffer[..bytes.min(300)]));
                        received += bytes;
                        arrived.fetch_add(bytes, Ordering::Relaxed);
                    }
                    _ = wanted.changed() => {}
                }
            }
        });
    }
    let (end, mut buffer, mut count) = (Instant::now() + ROUND, Vec::new(), 0);
    let (publishes, answers) = (publish.repeat(PUBLISHING), answer.repeat(PUBLISHING));
    while Instant::now() < end {
        while arrived.load(Ordering::Relaxed) + LAG * subscriber_count * delivery.len()
            < count * subscriber_count * delivery.len()
        {
            tokio::task::yield_now().await;
        }
        publisher.write_all(&publishes).await.expect("to publish");
        expect(publisher, &answers, &mut buffer).await;
        count += PUBLISHING;
    }
    total.send_replace(Some(count * delivery.len()));
    subscribers.extend(tasks.join_all().await);
    count * subscriber_count
}
