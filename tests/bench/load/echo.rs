//! Clients that send, wait for the echo of everything that they have sent, and send again.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::client::{expect, from_server, open, to_server};
use super::{Load, ROUND, Round, TEXT, rate};
use crate::server::Server;

pub struct Echo {
    server: Server,
    sockets: Vec<TcpStream>,
    payload: usize,
    in_flight: usize,
    measured: Measured,
}

/// The figure that counts.
#[derive(Clone, Copy)]
pub enum Measured {
    MessagesPerSecond,
    /// Microseconds of the server's CPU for a message.
    Cpu,
}

impl Echo {
    pub async fn new(server: Server, connections: usize, payload: usize, in_flight: usize, measured: Measured) -> Self {
        let sockets = open(&server, &server.echo, connections).await;
        Self { server, sockets, payload, in_flight, measured }
    }

    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Load for Echo {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        async {
            let work = echo(&mut self.sockets, self.payload, self.in_flight);
            let round = rate(&self.server, work).await;
            match self.measured {
                Measured::MessagesPerSecond => round,
                Measured::Cpu => Round { value: round.cpu.unwrap_or(f64::NAN), ..round },
            }
        }
        .boxed_local()
    }
}

/// Send for a round. Returns the number of messages that came back.
pub async fn echo(sockets: &mut Vec<TcpStream>, payload: usize, in_flight: usize) -> usize {
    let end = Instant::now() + ROUND;
    let mut tasks = JoinSet::new();
    for mut socket in sockets.drain(..) {
        tasks.spawn(async move {
            let text: Vec<u8> = (b'a'..=b'z').cycle().take(payload).collect();
            let frames = to_server(TEXT, &text).repeat(in_flight);
            let echoes = from_server(TEXT, &text).repeat(in_flight);
            let (mut buffer, mut count) = (Vec::new(), 0);
            while Instant::now() < end {
                socket.write_all(&frames).await.expect("to send");
                expect(&mut socket, &echoes, &mut buffer).await;
                count += in_flight;
            }
            (socket, count)
        });
    }
    let done = tasks.join_all().await;
    let messages = done.iter().map(|(_, count)| count).sum();
    sockets.extend(done.into_iter().map(|(socket, _)| socket));
    messages
}
