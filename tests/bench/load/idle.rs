//! Connections that have sent one message, and then stay open.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{expect, from_server, open, to_server};
use super::{Load, Round, TEXT};
use crate::server::Server;

/// How long the server gets to put away what it no longer needs.
const REST: Duration = Duration::from_millis(500);

pub struct Idle {
    server: Server,
    sockets: Vec<TcpStream>,
    connections: usize,
}

impl Idle {
    /// So many connections more in each round.
    pub fn new(server: Server, connections: usize) -> Self {
        Self { server, sockets: Vec::new(), connections }
    }
}

impl Load for Idle {
    /// The memory of each of the new connections, in bytes.
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        async {
            let before = self.server.memory();
            let mut sockets = open(&self.server, &self.server.echo, self.connections).await;
            echo_once(&mut sockets).await;
            self.sockets.extend(sockets);
            tokio::time::sleep(REST).await;
            let grown = self.server.memory().saturating_sub(before);
            Round::of(grown as f64 / self.connections as f64)
        }
        .boxed_local()
    }
}

async fn echo_once(sockets: &mut [TcpStream]) {
    let (frame, echo) = (to_server(TEXT, b"hi"), from_server(TEXT, b"hi"));
    let mut buffer = Vec::new();
    for socket in sockets {
        socket.write_all(&frame).await.expect("to send");
        expect(socket, &echo, &mut buffer).await;
    }
}
