//! Connections that send nothing, while a test changes the versions of their module.

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::{Client, within};

/// Connections that only listen. A client that does not even read answers no pings, so the host gives it up, although
/// the host works well: a long test on a busy machine would fail by its own fault. They end when this is dropped.
pub struct Silent {
    tasks: JoinSet<Client>,
    listening: watch::Sender<bool>,
}

impl Silent {
    /// Begin to listen.
    pub fn start(clients: Vec<Client>) -> Self {
        let (listening, observed) = watch::channel(true);
        let listen = |client| listen(client, observed.clone());
        Self { tasks: clients.into_iter().map(listen).collect(), listening }
    }

    /// End this and return the clients, in any order.
    ///
    /// # Panics
    /// If one of them has received something, or was closed.
    pub async fn stop(self) -> Vec<Client> {
        self.listening.send_replace(false);
        within("the silent connections", self.tasks.join_all()).await
    }
}

async fn listen(mut client: Client, mut listening: watch::Receiver<bool>) -> Client {
    loop {
        tokio::select! {
            // Reading answers the pings.
            heard = client.socket.next() => match heard {
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("a silent connection has heard {other:?}"),
            },
            _ = listening.wait_for(|listening| !listening) => return client,
        }
    }
}
