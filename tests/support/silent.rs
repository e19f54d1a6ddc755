//! Connections that say nothing, while a test does something to the versions of their module.

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::{Client, within};

/// Connections that only listen. Who does not even read answers none of the host's pings, and is given up however
/// well the host does its work: a test that takes long on a busy machine would fail for its own fault. They go when
/// this is dropped.
pub struct Silent {
    tasks: JoinSet<Client>,
    listening: watch::Sender<bool>,
}

impl Silent {
    /// Have them listen from now on.
    pub fn start(clients: Vec<Client>) -> Self {
        let (listening, observed) = watch::channel(true);
        let listen = |client| listen(client, observed.clone());
        Self { tasks: clients.into_iter().map(listen).collect(), listening }
    }

    /// Have them back, in any order.
    ///
    /// # Panics
    /// If one of them has heard something, or was closed.
    pub async fn stop(self) -> Vec<Client> {
        self.listening.send_replace(false);
        within("the silent connections", self.tasks.join_all()).await
    }
}

async fn listen(mut client: Client, mut listening: watch::Receiver<bool>) -> Client {
    loop {
        tokio::select! {
            // To read is to answer pings.
            heard = client.socket.next() => match heard {
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("a silent connection has heard {other:?}"),
            },
            _ = listening.wait_for(|listening| !listening) => return client,
        }
    }
}
