//! Loads that are always the same, whatever the speed of the server: for counting instead of timing.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{connect, expect, from_server, open, to_server};
use super::{PUBLISH, SUBSCRIBE, TEXT, published};
use crate::server::Server;

/// Clients that take turns: one sends some messages at once and waits for the echoes.
pub struct Bursts {
    sockets: Vec<TcpStream>,
    burst: Vec<u8>,
    echoes: Vec<u8>,
    in_flight: usize,
}

impl Bursts {
    pub async fn new(server: &Server, connections: usize, payload: usize, in_flight: usize) -> Self {
        let text = vec![b'x'; payload];
        Self {
            sockets: open(server, &server.echo, connections).await,
            burst: to_server(TEXT, &text).repeat(in_flight),
            echoes: from_server(TEXT, &text).repeat(in_flight),
            in_flight,
        }
    }

    /// Send so many messages in all.
    pub async fn send(&mut self, messages: usize) {
        let (mut buffer, clients) = (Vec::new(), self.sockets.len());
        for turn in 0..messages / self.in_flight {
            let socket = &mut self.sockets[turn % clients];
            socket.write_all(&self.burst).await.expect("to send");
            expect(socket, &self.echoes, &mut buffer).await;
        }
    }
}

/// A client that publishes some messages at once, and waits until all subscribers have them.
pub struct Published {
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
    batch: usize,
}

impl Published {
    pub async fn new(server: &Server, subscribers: usize, batch: usize) -> Self {
        let subscribers = open(server, SUBSCRIBE, subscribers).await;
        Self { publisher: connect(&server.address, PUBLISH).await, subscribers, batch }
    }

    /// Publish so many messages in all.
    pub async fn publish(&mut self, messages: usize) {
        let text = published();
        let publish = to_server(TEXT, format!(r#"{{"publish":{{"topic":"news","text":"{text}"}}}}"#).as_bytes());
        let answer = from_server(TEXT, format!(r#"{{"ok":{}}}"#, self.subscribers.len()).as_bytes());
        let delivery = from_server(TEXT, text.as_bytes());
        let mut buffer = Vec::new();
        for _ in 0..messages / self.batch {
            self.publisher.write_all(&publish.repeat(self.batch)).await.expect("to publish");
            expect(&mut self.publisher, &answer.repeat(self.batch), &mut buffer).await;
            for subscriber in &mut self.subscribers {
                expect(subscriber, &delivery.repeat(self.batch), &mut buffer).await;
            }
        }
    }
}
