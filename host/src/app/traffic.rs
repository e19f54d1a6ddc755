//! What passes between an app's clients and its module, counted for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hassock_frames::Encoded;

use super::connection::{Close, side_name};
use crate::module::bindings::hassock::host::types::ClosedBy;

/// Close codes with a meaning of their own (RFC 6455, section 7.4, and the IANA registry). A client chooses the others, so
/// they are counted together.
const CODES: [u16; 14] = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];

/// Who may close a connection.
const SIDES: [ClosedBy; 4] = [ClosedBy::Client, ClosedBy::Module, ClosedBy::Host, ClosedBy::Transport];

/// The counters of an app.
#[derive(Default)]
pub struct Traffic {
    received_messages: AtomicU64,
    received_bytes: AtomicU64,
    sent_messages: AtomicU64,
    sent_bytes: AtomicU64,
    /// For each side, for each code. The last one is for all other codes.
    closed: [[AtomicU64; CODES.len() + 1]; SIDES.len()],
    slow: AtomicU64,
    /// Connections whose clients are away.
    away: Arc<AtomicUsize>,
}

/// A connection whose client is away, counted until this is dropped.
pub(crate) struct CountedAway(Arc<AtomicUsize>);

impl Drop for CountedAway {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How much some messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// How many they are.
    pub messages: usize,
    /// The bytes of their payloads.
    pub bytes: usize,
}

/// What an app's counters say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficReport {
    /// Messages that clients have sent.
    pub received_messages: u64,
    /// The bytes of their payloads.
    pub received_bytes: u64,
    /// Messages that were queued for clients. A published message counts for each subscriber.
    pub sent_messages: u64,
    /// The bytes of their payloads.
    pub sent_bytes: u64,
    /// Connections that have ended: the side that closed, the code, and how many. Only those that have occurred.
    pub closed: Vec<(&'static str, String, u64)>,
    /// Connections that ended because their client did not read.
    pub slow: u64,
    /// Connections whose clients are away now, and may come back.
    pub away: usize,
}

impl Amount {
    /// That of encoded messages.
    pub fn of(messages: &Encoded) -> Self {
        Self { messages: messages.frames(), bytes: messages.payload_len() }
    }
}

impl Traffic {
    /// Messages came from a client.
    pub fn received(&self, messages: Amount) {
        self.received_messages.fetch_add(messages.messages as u64, Ordering::Relaxed);
        self.received_bytes.fetch_add(messages.bytes as u64, Ordering::Relaxed);
    }

    /// Messages were queued, each for so many clients.
    pub fn sent(&self, messages: Amount, clients: u32) {
        let clients = u64::from(clients);
        self.sent_messages.fetch_add(messages.messages as u64 * clients, Ordering::Relaxed);
        self.sent_bytes.fetch_add(messages.bytes as u64 * clients, Ordering::Relaxed);
    }

    /// A connection ended.
    pub fn closed(&self, close: &Close) {
        let code = CODES.iter().position(|code| *code == close.code).unwrap_or(CODES.len());
        let side = SIDES.iter().zip(&self.closed).find(|(side, _)| **side == close.by);
        if let Some(count) = side.and_then(|(_, codes)| codes.get(code)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if close.is_too_slow() {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The client of a connection is away.
    pub(crate) fn goes_away(&self) -> CountedAway {
        self.away.fetch_add(1, Ordering::Relaxed);
        CountedAway(Arc::clone(&self.away))
    }

    /// What was counted so far.
    pub fn report(&self) -> TrafficReport {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let codes = || CODES.iter().map(u16::to_string).chain(["other".to_owned()]);
        let closed = SIDES.iter().zip(&self.closed).flat_map(|(side, counts)| {
            codes().zip(counts).map(move |(code, count)| (side_name(*side), code, of(count)))
        });
        TrafficReport {
            received_messages: of(&self.received_messages),
            received_bytes: of(&self.received_bytes),
            sent_messages: of(&self.sent_messages),
            sent_bytes: of(&self.sent_bytes),
            closed: closed.filter(|(_, _, count)| *count > 0).collect(),
            slow: of(&self.slow),
            away: self.away.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_by_side_and_code() {
        let traffic = Traffic::default();
        assert_eq!(traffic.report(), TrafficReport::default());
        let own = |code| Close { code, reason: "".into(), by: ClosedBy::Client };
        for close in [own(1000), own(4001), own(4002), Close::too_slow(), Close::out_of_memory(), Close::stuck()] {
            traffic.closed(&close);
        }
        let report = traffic.report();
        let closed: Vec<_> = report.closed.iter().map(|(side, code, count)| (*side, code.as_str(), *count)).collect();
        assert_eq!(
            closed,
            [("client", "1000", 1), ("client", "other", 2), ("host", "1013", 2), ("transport", "1006", 1)]
        );
        assert_eq!(report.slow, 2, "too slow and stuck");
    }

    #[test]
    fn a_published_message_counts_for_each_client() {
        let traffic = Traffic::default();
        traffic.sent(Amount::of(&Encoded::text("abc")), 5);
        traffic.received(Amount { messages: 2, bytes: 7 });
        let expected = TrafficReport {
            received_messages: 2,
            received_bytes: 7,
            sent_messages: 5,
            sent_bytes: 15,
            ..TrafficReport::default()
        };
        assert_eq!(traffic.report(), expected);
    }
}
