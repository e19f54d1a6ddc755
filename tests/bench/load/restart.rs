//! The start of a host whose modules are compiled already.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hassock_tests::{app, example};
use tokio::io::AsyncWriteExt;

use super::client::{connect, expect, from_server, to_server};
use super::{Load, Round, TEXT};
use crate::server::{Cores, Server};

/// From the start of the process to the first answer, in milliseconds.
pub struct Restart {
    config: String,
}

impl Restart {
    pub fn new() -> Self {
        Self::of(app("echo", &example("echo")))
    }

    /// Of a host with this config, which has the app `echo`.
    pub fn of(config: String) -> Self {
        Self { config }
    }

    async fn start(&self) -> Round {
        let began = Instant::now();
        let server = Server::hassock_with(&self.config, Cores::SERVER, &[]);
        let mut socket = connect(&server.address, &server.echo).await;
        socket.write_all(&to_server(TEXT, b"hi")).await.expect("to send");
        expect(&mut socket, &from_server(TEXT, b"hi"), &mut Vec::new()).await;
        Round::of(began.elapsed().as_secs_f64() * 1e3)
    }
}

impl Load for Restart {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        self.start().boxed_local()
    }
}
