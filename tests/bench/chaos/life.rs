//! What one client does with one connection.

use std::sync::Arc;

use futures_util::StreamExt;
use hassock_tests::raw::{text, upgrade};
use hassock_tests::{Client, Raw};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::World;

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Life {
    Closes,
    Vanishes,
    Resets,
    /// In the middle of a frame.
    Breaks,
    /// In the middle of the handshake.
    LeavesEarly,
    /// While its module waits for the database.
    LeavesTransaction,
    /// The module closes it.
    IsClosed,
    /// The module traps.
    IsTrapped,
    /// The module returns an error.
    IsFailed,
    /// The module accepts it with an answer that cannot be.
    IsMisled,
}

const ALL: [Life; 10] = [
    Life::Closes,
    Life::Vanishes,
    Life::Resets,
    Life::Breaks,
    Life::LeavesEarly,
    Life::LeavesTransaction,
    Life::IsClosed,
    Life::IsTrapped,
    Life::IsFailed,
    Life::IsMisled,
];

impl Life {
    pub(super) fn random(random: &mut StdRng) -> Self {
        ALL[random.random_range(0..ALL.len())]
    }

    pub(super) async fn live(self, world: &World, random: &mut StdRng) {
        world.tally.note(&format!("clients: {self:?}"));
        let is_direct = random.random_bool(0.5);
        let address = if is_direct { &world.address } else { &world.proxy.address };
        match self {
            Self::LeavesEarly => return leave_early(address).await,
            // It is refused, or the line is cut.
            Self::IsMisled => return drop(Client::with(address, "/probe?open=strange-header", |_| {}).await),
            _ => {}
        }
        let Ok(client) = Client::with(address, "/probe", |_| {}).await else {
            assert!(!is_direct, "a client is refused");
            return world.tally.note("cut during the handshake");
        };
        let mut talk = Talk { client, is_direct };
        for number in 0..random.random_range(0..5) {
            if !talk.echo(&format!("message {number}")).await {
                return world.tally.note("cut while they talk");
            }
        }
        self.end(talk, random).await;
    }

    async fn end(self, mut talk: Talk, random: &mut StdRng) {
        match self {
            Self::Closes => {
                let frame = CloseFrame { code: 4000.into(), reason: "bye".into() };
                // The line may be cut meanwhile.
                let _ = talk.client.socket.close(Some(frame)).await;
                talk.client.closed().await;
            }
            Self::Resets => drop(talk.client.socket.get_ref().set_zero_linger()),
            Self::Breaks => {
                let half = &text("a message that does not end")[..random.random_range(1..20)];
                let _ = tokio::io::AsyncWriteExt::write_all(talk.client.socket.get_mut(), half).await;
            }
            Self::LeavesTransaction => {
                let key: u32 = random.random();
                let insert = json!({ "execute": { "sql": "INSERT INTO t VALUES (?)", "values": [{ "s64": key }] } });
                let slow = json!({ "query": { "sql": "SELECT SLEEP(0.02)" } });
                talk.tell(json!({ "transaction": [insert, slow, "commit"] })).await;
            }
            Self::IsClosed => {
                talk.tell(json!({ "close": { "code": 4001, "reason": "enough" } })).await;
                talk.ends_with(4001).await;
            }
            Self::IsTrapped => {
                talk.tell(json!("trap")).await;
                talk.ends_with(1011).await;
            }
            Self::IsFailed => {
                talk.tell(json!({ "fail": "told to" })).await;
                talk.ends_with(1011).await;
            }
            Self::Vanishes | Self::LeavesEarly | Self::IsMisled => {}
        }
    }
}

/// How the tally calls those that stay.
pub(super) const RESIDENTS: &str = "clients: stay until the host closes them";

/// A connection that stays, and talks until the host closes it.
pub(super) async fn reside(world: Arc<World>) {
    let mut client = Client::connect(&world.address, "/probe").await;
    for number in 0.. {
        let message = format!("resident {number}");
        match client.try_ask(message.clone()).await {
            Ok(answer) => {
                assert_eq!(answer, message);
                if number == 0 {
                    world.tally.note(RESIDENTS);
                }
            }
            Err(closed) => return assert_eq!(closed.code, 1001, "{closed:?}"),
        }
    }
}

struct Talk {
    client: Client,
    is_direct: bool,
}

impl Talk {
    /// False if the line was cut.
    async fn echo(&mut self, message: &str) -> bool {
        match self.client.try_ask(message).await {
            Ok(answer) => {
                assert_eq!(answer, message);
                true
            }
            Err(closed) => {
                assert!(!self.is_direct, "closed with {closed:?}");
                false
            }
        }
    }

    async fn tell(&mut self, command: Value) {
        // If the line was cut, what follows shows it.
        let _ = futures_util::SinkExt::send(&mut self.client.socket, Message::text(command.to_string())).await;
    }

    async fn ends_with(&mut self, code: u16) {
        let mut seen = 1006;
        while let Some(Ok(message)) = hassock_tests::within("the end", self.client.socket.next()).await {
            if let Message::Close(Some(frame)) = message {
                seen = frame.code.into();
            }
        }
        assert!(seen == code || !self.is_direct && seen == 1006, "closed with {seen} instead of {code}");
    }
}

/// The module takes its time to open the connection, and its client does not wait for that.
async fn leave_early(address: &str) {
    let mut raw = Raw::connect(address).await;
    let _ = raw.try_send(upgrade("/probe?open=slow")).await;
}
