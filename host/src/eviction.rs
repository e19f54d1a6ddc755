//! Closes connections when the memory budget is used up: those that use most, so that the others go on.

use std::cmp::Reverse;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::app::connection::{Close, Connection};
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
    bytes: usize,
}

fn make_room(state: &HostState) {
    let mut excess = state.context.memory.excess();
    if excess == 0 {
        return;
    }
    let mut consumers = state.routing().routes.apps().flat_map(consumers).collect::<Vec<_>>();
    consumers.sort_unstable_by_key(|consumer| Reverse(consumer.bytes));
    let mut evicted = 0;
    for Consumer { connection, bytes } in consumers {
        if excess == 0 {
            break;
        }
        // Also one that closes already: its client may take its time. The memory of one that was evicted is about to be free.
        excess = excess.saturating_sub(bytes);
        evicted += u64::from(connection.evict(Close::out_of_memory()));
    }
    if evicted > 0 {
        tracing::warn!(
            connections = evicted,
            "`limits.memory_budget` is used up: the connections that used most of it were closed with 1013"
        );
    }
}

/// The connections of an app that use something that counts.
fn consumers(app: &Arc<App>) -> Vec<Consumer> {
    let timers = app.timers.bytes_by_connection();
    let all = app.connections.all().into_iter().map(|connection| {
        let bytes = connection.memory() + timers.get(&connection.id).copied().unwrap_or(0);
        Consumer { connection, bytes }
    });
    all.filter(|consumer| consumer.bytes >= SHORTEST).collect()
}
