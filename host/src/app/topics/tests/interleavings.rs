//! Invariant 10, for thousands of orders in which clients come, read, fall behind, leave and come back.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::history::{keeping, read, say, speaking};
use super::*;
use crate::app::connection::Next;

/// A client that remembers where it was.
struct Client {
    /// None while it is away.
    connection: Option<Arc<Connection>>,
    position: Option<Position>,
    /// The number that has to come next, if nothing is missing.
    next: u64,
    /// Something is missing before the next message.
    may_skip: bool,
    gaps: u64,
}

impl Client {
    fn come(&mut self, topics: &Topics, id: u64, outbox: usize) {
        let connection = speaking(id, outbox);
        let start = self.position.map_or(Start::Last(usize::MAX), Start::Since);
        topics.subscribe_from(&connection, "room", start, None, 1).unwrap();
        self.connection = Some(connection);
    }

    fn leave(&mut self, topics: &Topics) {
        if let Some(connection) = self.connection.take() {
            topics.unsubscribe_all(&connection);
        }
    }

    /// Read what was written to the client.
    fn hear(&mut self, message: &str) {
        let (header, payload) = message.split_once('\n').unwrap();
        let header: serde_json::Value = serde_json::from_str(header).unwrap();
        match header["type"].as_str() {
            Some("subscribed") => {
                assert_eq!(header["was_recovering"] == true, self.position.is_some());
                let recovered = header["recovered"] == true;
                assert_eq!(recovered, self.position.is_some() && header["gap"].is_null());
                // The first time it begins anywhere.
                self.skip(!recovered, !header["gap"].is_null());
            }
            Some("gap") => self.skip(true, true),
            Some(other) => panic!("{other}"),
            None => {
                let number: u64 = payload.parse().unwrap();
                assert!(number == self.next || self.may_skip && number > self.next, "{number}, not {}", self.next);
                (self.next, self.may_skip) = (number + 1, false);
                self.position = Some(header["position"].as_str().unwrap().parse().unwrap());
            }
        }
    }

    fn skip(&mut self, may_skip: bool, is_gap: bool) {
        self.may_skip |= may_skip;
        self.gaps += u64::from(is_gap);
    }

    /// A part of what is queued arrives, as if the connection broke behind it.
    fn read_some(&mut self, rng: &mut StdRng) {
        let Some(connection) = &self.connection else { return };
        let mut taken = VecDeque::new();
        if let Next::Messages = connection.outbox.next(&mut taken) {
            let all: Vec<Encoded> = taken.iter().flat_map(Encoded::split).collect();
            let arrives = rng.random_range(0..=all.len());
            all.iter().take(arrives).for_each(|message| self.hear(message.as_text().unwrap()));
        }
    }

    fn read_all(&mut self, topics: &Topics) {
        let Some(connection) = self.connection.clone() else { return };
        read(topics, &connection).iter().for_each(|message| self.hear(message));
        if connection.outbox.is_closing() {
            self.leave(topics);
        }
    }
}

fn play(seed: u64) -> (u64, u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let topics = keeping(rng.random_range(1..40));
    let (mut said, mut ids) = (0, 0);
    let new = || Client { connection: None, position: None, next: 0, may_skip: true, gaps: 0 };
    let mut clients: Vec<Client> = (0..4).map(|_| new()).collect();
    for _ in 0..200 {
        let choice = rng.random_range(0..clients.len());
        let client = &mut clients[choice];
        match rng.random_range(0..10) {
            0..5 => {
                say(&topics, "room", &said.to_string()).unwrap();
                said += 1;
            }
            5 => {
                // What was on its way is lost.
                client.read_some(&mut rng);
                client.leave(&topics);
            }
            6 | 7 if client.connection.is_none() => {
                ids += 1;
                client.come(&topics, ids, rng.random_range(400..4_000));
            }
            _ => client.read_all(&topics),
        }
    }
    for client in &mut clients {
        client.leave(&topics);
        ids += 1;
        client.come(&topics, ids, 1_000);
        client.read_all(&topics);
        assert_eq!(client.next, said, "everything that is kept has come");
        client.leave(&topics);
    }
    (said, clients.iter().map(|client| client.gaps).sum())
}

#[tokio::test(start_paused = true)]
async fn every_message_comes_once_and_in_order_or_a_gap_is_told() {
    let (mut said, mut gaps) = (0, 0);
    for seed in 0..3_000 {
        let (more, missing) = play(seed);
        (said, gaps) = (said + more, gaps + missing);
    }
    assert!(gaps > 1_000 && said > 100_000, "{said} messages and {gaps} gaps: there was something to get wrong");
}
