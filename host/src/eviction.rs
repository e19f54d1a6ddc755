//! Closes connections when the memory budget is used up: those that use most, so that the others go on.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::app::connection::{Close, Connection, Published};
use crate::host_state::HostState;
use crate::memory_budget::SHORTEST;

/// How long connections that were closed have to give back their memory before others are closed too.
const PAUSE: Duration = Duration::from_millis(50);

/// Make room whenever there is none, for as long as the host exists.
pub(crate) async fn evict_when_short(state: Weak<HostState>) {
    let Some(memory) = state.upgrade().map(|state| Arc::clone(&state.context.memory)) else { return };
    loop {
        memory.shortage().await;
        let Some(state) = state.upgrade() else { return };
        make_room(&state);
        drop(state);
        sleep(PAUSE).await;
    }
}

/// What a connection uses.
struct Consumer {
    connection: Arc<Connection>,
    /// Bytes that are in memory for it alone.
    own: usize,
    /// Messages that are in memory once, for all connections that have not written them.
    published: Vec<Published>,
}

/// How many connections have each published message in their outboxes.
struct Holders(HashMap<usize, usize>);

fn make_room(state: &HostState) {
    let excess = state.context.memory.excess();
    if excess == 0 {
        return;
    }
    // What is kept in case that a network fails goes before connections do.
    let kept = state.routing().routes.apps().flat_map(kept_for_returns).collect();
    let excess = give_up_largest(kept, excess);
    let consumers = state.routing().routes.apps().flat_map(consumers).collect();
    let evicted = evict_largest(consumers, excess);
    if evicted > 0 {
        tracing::warn!(
            connections = evicted,
            "`limits.memory_budget` is used up: the connections that used most of it were closed with 1013"
        );
    }
}

/// Close those that use most, until so many bytes are free, or about to be. Returns how many were closed just now.
fn evict_largest(mut consumers: Vec<Consumer>, mut excess: usize) -> u64 {
    let mut holders = Holders::of(&consumers);
    consumers.sort_by_cached_key(|consumer| Reverse(holders.part_of(consumer)));
    let mut evicted = 0;
    for consumer in &consumers {
        if excess == 0 {
            break;
        }
        // Also one that closes already: its client may take its time. The memory of one that was evicted is about to be free.
        excess = excess.saturating_sub(holders.freed_by(consumer));
        evicted += u64::from(consumer.connection.evict(Close::out_of_memory()));
    }
    evicted
}

/// What is kept for clients that are here, and may lose their network.
fn kept_for_returns(app: &Arc<App>) -> Vec<Consumer> {
    let mut all = Vec::new();
    app.connections.each(|connection| {
        if let Some(resumption) = connection.resumption().filter(|_| !connection.is_away()) {
            let (own, published) = resumption.memory();
            all.push(Consumer { connection: Arc::clone(connection), own, published });
        }
    });
    all.retain(|consumer| consumer.own > 0);
    all
}

/// Keep nothing for those for which most is kept, until so many bytes are free. Returns how many are missing then.
fn give_up_largest(mut kept: Vec<Consumer>, mut excess: usize) -> usize {
    let mut holders = Holders::of(&kept);
    kept.sort_by_cached_key(|consumer| Reverse(holders.part_of(consumer)));
    for consumer in &kept {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(holders.freed_by(consumer));
        if let Some(resumption) = consumer.connection.resumption() {
            resumption.give_up();
        }
    }
    excess
}

/// The connections of an app that use something that counts.
fn consumers(app: &Arc<App>) -> Vec<Consumer> {
    let timers = app.timers.bytes_by_connection();
    let all = app.connections.all().into_iter().map(|connection| {
        let (bytes, published) = connection.memory();
        let own = bytes + timers.get(&connection.id).copied().unwrap_or(0);
        Consumer { connection, own, published }
    });
    all.filter(|consumer| consumer.own >= SHORTEST || !consumer.published.is_empty()).collect()
}

impl Holders {
    fn of(consumers: &[Consumer]) -> Self {
        let mut holders = HashMap::new();
        for message in consumers.iter().flat_map(|consumer| &consumer.published) {
            *holders.entry(message.address).or_default() += 1;
        }
        Self(holders)
    }

    /// Bytes that a connection uses: of a published message, the same part as each other that has it.
    fn part_of(&self, consumer: &Consumer) -> usize {
        let part = |message: &Published| message.bytes / self.0.get(&message.address).copied().unwrap_or(1).max(1);
        consumer.own + consumer.published.iter().map(part).sum::<usize>()
    }

    /// Bytes that are free when a connection is closed after others: of a published message, all when it is the last that
    /// has it, and none before.
    fn freed_by(&mut self, consumer: &Consumer) -> usize {
        let mut freed = consumer.own;
        for message in &consumer.published {
            if let Some(holders) = self.0.get_mut(&message.address) {
                *holders -= 1;
                freed += if *holders == 0 { message.bytes } else { 0 };
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use hassock_frames::Encoded;

    use super::*;
    use crate::app::connection::Slot;
    use crate::memory_budget::{MemoryBudget, Use};

    const MIB: usize = 1 << 20;

    fn connection(id: u64, budget: &Arc<MemoryBudget>) -> Arc<Connection> {
        Arc::new(Connection::in_slot(id, 8 * MIB, budget, Slot::default()))
    }

    fn published(budget: &Arc<MemoryBudget>, bytes: usize) -> Encoded {
        Encoded::text(&"x".repeat(bytes)).kept(|bytes| budget.keep(Use::Outbox, bytes)).unwrap()
    }

    fn used(budget: &MemoryBudget) -> usize {
        budget.report().used.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Evict until so many bytes are free, and return the ids of those that were closed.
    fn evicted(connections: &[Arc<Connection>], excess: usize) -> Vec<u64> {
        let consumers = connections.iter().map(|connection| {
            let (own, published) = connection.memory();
            Consumer { connection: Arc::clone(connection), own, published }
        });
        let before: Vec<_> = connections.iter().filter(|connection| connection.outbox.is_closing()).collect();
        let count = evict_largest(consumers.collect(), excess);
        let closing = connections.iter().filter(|connection| connection.outbox.is_closing());
        let new: Vec<u64> = closing.map(|connection| connection.id).collect();
        assert_eq!(count as usize, new.len() - before.len());
        new
    }

    /// Each of its subscribers keeps a published message in memory, so all of them are closed at once for it.
    #[test]
    fn all_that_keep_a_published_message_are_closed_together() {
        let budget = MemoryBudget::new(64 * MIB);
        let subscribers: Vec<_> = (0..20).map(|id| connection(id, &budget)).collect();
        let messages: Vec<Encoded> = (0..3).map(|_| published(&budget, MIB)).collect();
        for (connection, message) in
            subscribers.iter().flat_map(|one| messages.iter().map(move |message| (one, message)))
        {
            connection.outbox.push_published(message.clone()).unwrap();
        }
        drop(messages);
        // What a session has taken is in memory too.
        let mut taken = VecDeque::new();
        subscribers[7].outbox.next(&mut taken);
        let most = 3 * MIB + 3 * 20 * 100;
        assert!((3 * MIB..most).contains(&used(&budget)), "{}", used(&budget));
        assert_eq!(evicted(&subscribers, MIB).len(), 20);
        drop(taken);
        subscribers[7].outbox.abandon();
        assert_eq!(used(&budget), 0);
    }

    #[test]
    fn a_message_that_was_written_is_not_kept_any_more() {
        let budget = MemoryBudget::new(64 * MIB);
        let (slow, fast) = (connection(1, &budget), connection(2, &budget));
        let message = published(&budget, MIB);
        for connection in [&slow, &fast] {
            connection.outbox.push_published(message.clone()).unwrap();
        }
        let mut taken = VecDeque::new();
        for _ in 0..2 {
            fast.outbox.next(&mut taken);
            taken.clear();
        }
        assert_eq!(evicted(&[slow, fast], MIB / 2), [1]);
    }

    /// Of a published message, a connection uses a part, so one that keeps less but alone is closed before.
    #[test]
    fn one_that_keeps_much_alone_is_closed_before_many_that_share() {
        let budget = MemoryBudget::new(64 * MIB);
        let mut connections: Vec<_> = (0..20).map(|id| connection(id, &budget)).collect();
        let message = published(&budget, MIB);
        for connection in &connections {
            connection.outbox.push_published(message.clone()).unwrap();
        }
        connections.push(connection(99, &budget));
        connections[20].outbox.push(Encoded::text(&"x".repeat(MIB / 2))).unwrap();
        assert_eq!(evicted(&connections, MIB / 4), [99]);
        assert_eq!(evicted(&connections, MIB).len(), 21);
    }
}
