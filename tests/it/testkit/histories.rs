//! Invariant 10 in the simulator: clients that come, go, lose their networks and read slowly, while others publish. Whatever the
//! order, each gets every message once and in order, or is told that something is missing.

use hassock::testkit::{Connect, Publication};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const ORDERS: u64 = 2_000;
const STEPS: usize = 40;
const READERS: usize = 3;

/// What a client knows, and what it has seen.
#[derive(Default)]
struct Reader {
    client: Option<Client>,
    position: Option<String>,
    token: Option<String>,
    received: u64,
    /// The number of the last message.
    last: u64,
    /// Something may be missing before the next message: it was told so, or has just come.
    may_miss: bool,
    resumptions: u64,
    recoveries: u64,
    gaps: u64,
}

/// One topic, to which numbers are published.
struct Order {
    random: StdRng,
    topic: String,
    published: u64,
    readers: [Reader; READERS],
}

impl Reader {
    /// Connect, perhaps to the connection that it had.
    fn connect(&mut self, host: &TestHost, topic: &str, published: u64, wants_it_again: bool) {
        let mut connect = Connect::to(format!("/probe?topic={topic}")).speaking();
        if let Some(position) = &self.position {
            connect = connect.since(topic, position);
        }
        if let Some(token) = self.token.take().filter(|_| wants_it_again) {
            connect = connect.resuming(token, self.received);
        }
        self.client = Some(host.connect(connect));
        if self.position.is_none() {
            // It begins here.
            self.last = published;
        }
        self.read();
    }

    /// Take what has come, and check it.
    fn read(&mut self) {
        let Some(client) = &self.client else { return };
        let (messages, is_open) = (client.messages(), client.is_open());
        for message in messages {
            let Message::Text(text) = message else { panic!("{message:?}") };
            let (header, payload) = text.split_once('\n').unwrap();
            self.heard(&serde_json::from_str(header).unwrap(), payload);
        }
        if !is_open {
            self.client = None;
        }
    }

    fn heard(&mut self, header: &Json, payload: &str) {
        match header["type"].as_str() {
            Some("connected") => {
                self.token = header["resume"].as_str().map(str::to_owned);
                match header["resumed"] == true {
                    true => self.resumptions += 1,
                    false => self.received = 0,
                }
                return;
            }
            Some("closing") => return,
            Some("subscribed") => {
                let recovered = header["recovered"] == true;
                assert_eq!(recovered, self.position.is_some() && header["gap"].is_null(), "{header}");
                self.recoveries += u64::from(recovered);
                self.gaps += u64::from(!header["gap"].is_null());
                self.may_miss |= !header["gap"].is_null();
                self.position = header["position"].as_str().map(str::to_owned);
            }
            Some("gap") => {
                self.gaps += 1;
                self.may_miss = true;
            }
            Some(other) => panic!("{other}"),
            None => {
                let number: u64 = payload.parse().unwrap();
                let is_next = if self.may_miss { number > self.last } else { number == self.last + 1 };
                assert!(is_next, "{number} after {}, and nothing was said", self.last);
                (self.last, self.may_miss) = (number, false);
                self.position = header["position"].as_str().map(str::to_owned);
            }
        }
        self.received += 1;
    }
}

impl Order {
    fn step(&mut self, host: &TestHost) {
        let which = self.random.random_range(0..READERS);
        match self.random.random_range(0..12) {
            0..5 => self.publish(host),
            5 => host.advance(Duration::from_secs(self.random.random_range(1..40))),
            6 | 7 => {
                let reader = &mut self.readers[which];
                if let Some(client) = reader.client.take() {
                    client.vanish().unwrap();
                }
            }
            8 => {
                let reader = &mut self.readers[which];
                if let Some(client) = reader.client.take() {
                    client.disconnect(None).unwrap();
                }
            }
            // As if it read nothing for a while.
            9 => {
                if let Some(client) = &self.readers[which].client {
                    client.fail_outbox().unwrap();
                    self.publish(host);
                }
            }
            _ => {
                let wants_it_again = self.random.random_bool(0.7);
                let reader = &mut self.readers[which];
                if reader.client.is_none() || wants_it_again {
                    reader.connect(host, &self.topic, self.published, wants_it_again);
                }
            }
        }
        self.readers.iter_mut().for_each(Reader::read);
    }

    fn publish(&mut self, host: &TestHost) {
        for _ in 0..self.random.random_range(1..8) {
            self.published += 1;
            let message = Message::Text(self.published.to_string());
            let topic = self.topic.clone();
            host.publish(&Publication { app: None, topic, message, id: None }).unwrap();
        }
    }

    /// Everybody comes back, and gets the last message.
    fn end(&mut self, host: &TestHost) {
        for reader in &mut self.readers {
            if reader.client.is_none() {
                reader.connect(host, &self.topic, self.published, true);
            }
        }
        self.publish(host);
        for reader in &mut self.readers {
            reader.read();
            assert_eq!(reader.last, self.published, "something is missing at the end");
            reader.client.take().unwrap().disconnect(None).unwrap();
        }
    }
}

#[test]
fn whatever_the_order_nothing_is_missing_without_a_word() {
    let builder = probe().set("limits.resume_for", "\"20s\"").set("topics.\"room:*\".history", "15");
    let host = builder.set("topics.\"room:*\".keep", "\"60s\"").build().unwrap();
    let (mut resumptions, mut recoveries, mut gaps) = (0, 0, 0);
    for seed in 0..ORDERS {
        let random = StdRng::seed_from_u64(seed);
        let mut order = Order { random, topic: format!("room:{seed}"), published: 0, readers: Default::default() };
        (0..STEPS).for_each(|_| order.step(&host));
        order.end(&host);
        for reader in &order.readers {
            resumptions += reader.resumptions;
            recoveries += reader.recoveries;
            gaps += reader.gaps;
        }
    }
    assert!(resumptions > ORDERS && recoveries > ORDERS / 2 && gaps > ORDERS / 2, "{resumptions} {recoveries} {gaps}");
}
