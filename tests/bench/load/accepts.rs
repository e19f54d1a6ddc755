//! Clients that connect and close again.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::client::{connect, expect, from_server, to_server};
use super::{CLOSE, Load, ROUND, Round, rate};
use crate::server::Server;

/// How many connections are opened at the same time.
const OPENING: usize = 16;

pub struct Accepts(pub Server);

impl Load for Accepts {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        rate(&self.0, accept(&self.0)).boxed_local()
    }
}

/// Returns the number of connections that were opened and closed with a close handshake.
async fn accept(server: &Server) -> usize {
    let end = Instant::now() + ROUND;
    let mut tasks = JoinSet::new();
    for _ in 0..OPENING {
        let (address, path) = (server.address.clone(), server.echo.clone());
        tasks.spawn(async move {
            let close = to_server(CLOSE, &1000_u16.to_be_bytes());
            let reply = from_server(CLOSE, &1000_u16.to_be_bytes());
            let (mut buffer, mut count) = (Vec::new(), 0);
            while Instant::now() < end {
                let mut socket = connect(&address, &path).await;
                socket.write_all(&close).await.expect("to close");
                expect(&mut socket, &reply, &mut buffer).await;
                count += 1;
            }
            count
        });
    }
    tasks.join_all().await.into_iter().sum()
}
