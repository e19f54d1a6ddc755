//! A client that publishes to one of many topics, each of which has one subscriber.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{connect, expect, from_server, open, to_server};
use super::{Load, PUBLISH, ROUND, Round, TEXT, published, rate};
use crate::server::Server;

/// How many topics a connection subscribes to, at most.
const PER_CONNECTION: usize = 1000;

pub struct ToOneOf {
    server: Server,
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
    topics: usize,
    next: usize,
}

impl ToOneOf {
    /// Subscribe to all of them.
    pub async fn new(server: Server, topics: usize) -> Self {
        let mut subscribers = open(&server, PUBLISH, topics.div_ceil(PER_CONNECTION)).await;
        let (answer, mut buffer) = (from_server(TEXT, br#"{"ok":null}"#), Vec::new());
        for topic in 0..topics {
            let subscriber = &mut subscribers[topic / PER_CONNECTION];
            let subscribe = to_server(TEXT, format!(r#"{{"subscribe":"topic {topic}"}}"#).as_bytes());
            subscriber.write_all(&subscribe).await.expect("to subscribe");
            expect(subscriber, &answer, &mut buffer).await;
        }
        Self { publisher: connect(&server.address, PUBLISH).await, server, subscribers, topics, next: 0 }
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the number of publishes.
    async fn publish(
        publisher: &mut TcpStream,
        subscribers: &mut [TcpStream],
        topics: usize,
        next: &mut usize,
    ) -> usize {
        let (text, mut buffer, mut count) = (published(), Vec::new(), 0);
        let (answer, delivery) = (from_server(TEXT, br#"{"ok":1}"#), from_server(TEXT, text.as_bytes()));
        let end = Instant::now() + ROUND;
        while Instant::now() < end {
            // A prime, so that every topic has its turn.
            *next = (*next + 7919) % topics;
            let publish = format!(r#"{{"publish":{{"topic":"topic {next}","text":"{text}"}}}}"#);
            publisher.write_all(&to_server(TEXT, publish.as_bytes())).await.expect("to publish");
            expect(publisher, &answer, &mut buffer).await;
            expect(&mut subscribers[*next / PER_CONNECTION], &delivery, &mut buffer).await;
            count += 1;
        }
        count
    }
}

impl Load for ToOneOf {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        let work = Self::publish(&mut self.publisher, &mut self.subscribers, self.topics, &mut self.next);
        rate(&self.server, work).boxed_local()
    }
}
