//! Connections that talk to `marked` without pause, while a test changes its versions.

use futures_util::SinkExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::{Client, Closed, within};

/// How many messages of each connection are always in flight.
const WINDOW: u64 = 4;

/// Connections that send numbered messages until they are stopped. An answer that is missing, repeated or out of order
/// causes a panic.
pub struct Talkers {
    tasks: Vec<JoinHandle<Talked>>,
    running: watch::Sender<bool>,
}

/// The result of one of them.
pub struct Talked {
    /// The connection.
    pub client: Client,
    /// How it was closed, if it was.
    pub closed: Option<Closed>,
    /// The names of the versions that have answered, in their order.
    pub names: Vec<String>,
    /// How many answers there were.
    pub answers: u64,
}

impl Talkers {
    /// Begin to talk.
    pub fn start(clients: Vec<Client>) -> Self {
        let (running, observed) = watch::channel(true);
        // Not all send the same number at the same time.
        let talk = |(first, client)| tokio::spawn(talk(client, first, observed.clone()));
        Self { tasks: (0..).zip(clients).map(talk).collect(), running }
    }

    /// Stop them once they have all their answers. The results are in the order of the connections.
    ///
    /// # Panics
    /// If one of them got something other than consecutive answers or a close.
    pub async fn stop(self) -> Vec<Talked> {
        self.running.send_replace(false);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(within("the last answers", task).await.unwrap_or_else(|error| panic!("{error}")));
        }
        all
    }
}

async fn talk(client: Client, first: u64, running: watch::Receiver<bool>) -> Talked {
    let mut talked = Talked { client, closed: None, names: Vec::new(), answers: 0 };
    let mut sent = 0;
    loop {
        // Even a connection that is stopped at once sends a message.
        while (*running.borrow() || sent == 0) && sent < talked.answers + WINDOW {
            let message = Message::text(format!("no {}", first + sent));
            // If the host has closed, this fails, and so does the read below.
            let _ = talked.client.socket.send(message).await;
            sent += 1;
        }
        if talked.answers == sent {
            return talked;
        }
        match talked.client.try_text().await {
            Ok(text) => {
                let (name, rest) = text.split_once(' ').unwrap_or_default();
                assert_eq!(rest, format!("no {}", first + talked.answers), "answer {}", talked.answers);
                talked.answers += 1;
                if talked.names.last().is_none_or(|last| last != name) {
                    talked.names.push(name.to_owned());
                }
            }
            Err(closed) => {
                talked.closed = Some(closed);
                return talked;
            }
        }
    }
}
