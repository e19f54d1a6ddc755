//! The history of a topic in a cluster: NATS keeps it, and a host has a copy of it for its subscribers.
//!
//! A copy is read when the topic gets its first subscriber here. After that, each message that is passed on says which one was
//! before it in its topic, so a host notices at once if it has missed one, and reads again. Subscribers wait until the copy is
//! there. What could not be read again is a gap, of which they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hassock_frames::{Deflate, Encoded};
use tokio::time::Instant;

use super::history::{History, Start};
use super::ledger::Ledger;
use super::policy::Policy;
use super::say::say_gap;
use super::subscribers::{Forms, Message};
use super::topic::{Headers, Keeping, Topic};
use crate::app::connection::Connection;
use crate::client_protocol::{Gap, Position};
use crate::cluster::{Arrived, ReadPage};

/// How much the clocks of hosts and servers may go at different speeds, and how long a reading may take.
const SLACK: Duration = Duration::from_secs(30);

/// What is here of the history of a topic in the cluster.
#[derive(Default)]
pub(super) struct Replica {
    /// Whether it was read.
    is_read: bool,
    /// The number of the last message of the topic that has come; 0 if none has.
    newest: u64,
    /// Everything of the topic up to this number has come, or was gone before it could.
    through: u64,
    /// When it was last known that nothing was missing.
    verified: Option<Instant>,
    /// How long the stream keeps messages, unless it is so large that it has to remove some earlier: then it is zero.
    keep: Duration,
    /// Subscribers that wait for a reading.
    pub(super) waiting: BTreeMap<u64, Waiting>,
}

/// A subscriber that waits for a reading.
pub(super) struct Waiting {
    pub(super) connection: Arc<Connection>,
    start: Start,
    request: Option<u64>,
}

/// A message that was delivered.
pub(in crate::app) struct Delivered {
    pub(in crate::app) arrived: Arrived,
    /// How many subscribers it reached.
    pub(in crate::app) reached: u32,
    pub(in crate::app) position: Option<Position>,
}

/// What is to be done with a message that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// It is the next one.
    Next,
    /// It is here already.
    Known,
    /// There may be others before it.
    Later,
    /// It is here already, unless the stream has begun anew.
    Stale,
}

impl Replica {
    /// Let a subscriber wait.
    pub(super) fn wait(&mut self, connection: &Arc<Connection>, start: Start, request: Option<u64>) {
        let waiting = Waiting { connection: Arc::clone(connection), start, request };
        self.waiting.insert(connection.id, waiting);
    }

    /// A subscriber that waits asks once more. False if it does not wait.
    pub(super) fn ask(&mut self, id: u64, request: Option<u64>) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id) else { return false };
        waiting.request = request.or(waiting.request);
        true
    }

    /// Whether everything that has come since the copy was complete is not too old yet, with some time for the clocks.
    fn is_recent(&self) -> bool {
        self.verified.is_some_and(|verified| verified.elapsed() + SLACK < self.keep)
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.waiting.values().map(|waiting| &waiting.connection)
    }
}

impl History {
    /// Whether a subscriber has to wait until the cluster was asked what there is.
    pub(super) fn has_to_read(&self, start: Start) -> bool {
        let Some(replica) = &self.replica else { return false };
        // It may have been at a host that is further.
        let is_ahead = |position: Position| {
            position.epoch == self.position().epoch && position.offset > replica.through.max(replica.newest)
        };
        !replica.is_read || matches!(start, Start::Since(position) if is_ahead(position))
    }

    /// How many subscribers do not get yet what is published.
    pub(super) fn late(&self) -> usize {
        self.behind.len() + self.replica.as_ref().map_or(0, |replica| replica.waiting.len())
    }

    /// Whether a subscriber is one of them.
    pub(super) fn is_late(&self, id: u64) -> bool {
        self.behind.contains_key(&id) || self.replica.as_ref().is_some_and(|replica| replica.waiting.contains_key(&id))
    }

    /// Forget one of them. False if it is none.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let was_waiting = self.replica.as_mut().is_some_and(|replica| replica.waiting.remove(&id).is_some());
        self.behind.remove(&id).is_some() || was_waiting
    }

    /// What is to be done with a message that has come.
    pub(super) fn intake(&self, arrived: &Arrived) -> Intake {
        let (Some(replica), Some(place)) = (&self.replica, arrived.place) else { return Intake::Next };
        if replica.is_read && place.sequence <= replica.newest {
            let is_of_another = place.epoch.is_some_and(|epoch| epoch != self.position().epoch);
            return if is_of_another { Intake::Stale } else { Intake::Known };
        }
        if place.epoch.is_some_and(|epoch| epoch != self.position().epoch) {
            return Intake::Later;
        }
        let is_next = match place.before {
            // No message of the topic was there when it was stored. One that has not come here would still have been there.
            0 => replica.is_recent(),
            before => before == replica.newest,
        };
        if replica.is_read && is_next { Intake::Next } else { Intake::Later }
    }

    /// A message is the next one, and is about to be kept.
    fn note(&mut self, arrived: &Arrived) {
        if let (Some(replica), Some(place)) = (&mut self.replica, arrived.place) {
            (replica.newest, replica.verified) = (place.sequence, Some(Instant::now()));
        }
    }

    /// The number behind which the topic is to be read, and how many messages at most: one more than clients may read, or all
    /// that have come meanwhile.
    pub(super) fn to_read(&self) -> Option<(u64, usize)> {
        let replica = self.replica.as_ref()?;
        match replica.is_read {
            true => Some((replica.newest, usize::MAX)),
            false => Some((0, self.policy.messages + 1)),
        }
    }
}

impl Topic {
    /// A topic without subscribers, for what is read of it.
    pub(super) fn copy(policy: Policy, ledger: &Arc<Ledger>) -> Self {
        let mut topic = Self::new(None, ledger, None);
        topic.history = Some(Box::new(History::new(policy, ledger, Some(Replica::default()))));
        topic
    }

    /// Take in what was read `after` a number. Returns the messages that were delivered, in their order; none if it has to be read
    /// once more.
    pub(super) fn fill(
        &mut self,
        name: &str,
        after: u64,
        page: ReadPage,
        compress: impl Fn(&Encoded, Deflate) -> Encoded,
        ledger: &Ledger,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> Option<Vec<Delivered>> {
        let Some(history) = self.history.as_mut() else { return Some(Vec::new()) };
        let (epoch, most) = (history.position().epoch, history.policy.messages);
        let Some(replica) = history.replica.as_mut() else { return Some(Vec::new()) };
        let (was_read, read_at) = (replica.is_read, Instant::now());
        if was_read && page.epoch != epoch {
            self.begin_anew(name, dirty);
            return None;
        }
        if after != if was_read { replica.newest } else { 0 } {
            return None;
        }
        let known = replica.through.max(replica.newest);
        replica.keep = if page.is_crowded { Duration::ZERO } else { page.keep };
        let is_complete = !page.is_full && page.changed <= known && (page.first <= known + 1 || replica.is_recent());
        let newest = page.messages.last().and_then(|message| message.place).map(|place| place.sequence);
        (replica.is_read, replica.through) = (true, page.through.max(replica.through));
        let known_newest = replica.newest;
        let first = page.messages.first().and_then(|message| message.place).map_or(0, |place| place.sequence);
        // The first one of as many as are kept may be the first one that is left.
        let (trimmed, reason) = match page.messages.len() > most || page.is_full {
            true => (first, Gap::Count),
            false => (page.first.saturating_sub(1).max(page.changed), Gap::Age),
        };
        // What is here is given up for what comes behind a gap.
        let trimmed = if was_read { trimmed.max(known) } else { trimmed };
        let through = replica.through;
        let deliver = match was_read {
            true if is_complete => page.messages,
            // Messages between those that are here and those that were read may be gone.
            true => {
                let last = history.position().offset;
                let live: Vec<_> = self.live.by_id.values().cloned().collect();
                self.put_behind(live, last, dirty);
                self.keep(epoch, trimmed, reason, page.messages);
                Vec::new()
            }
            false => {
                self.keep(page.epoch, trimmed, reason, page.messages);
                Vec::new()
            }
        };
        let mut delivered = Vec::new();
        for arrived in deliver {
            let compressed = self.forms().map(|how| compress(&arrived.message, how));
            let (reached, position) = self.deliver(name, &arrived, &compressed, ledger, dirty);
            delivered.push(Delivered { arrived, reached, position });
        }
        if let Some(history) = self.history.as_mut() {
            history.pass(through);
            if let Some(replica) = &mut history.replica {
                (replica.newest, replica.verified) = (newest.unwrap_or(known_newest), Some(read_at));
            }
        }
        self.admit(name, dirty);
        Some(delivered)
    }

    /// Deliver a message whose turn it is. Returns how many it reached, and its position.
    pub(super) fn deliver(
        &mut self,
        name: &str,
        arrived: &Arrived,
        compressed: &Forms<Option<Encoded>>,
        ledger: &Ledger,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> (u32, Option<Position>) {
        self.history.iter_mut().for_each(|history| history.note(arrived));
        let keeping = if arrived.place.is_some() { Keeping::Keep } else { Keeping::Skip };
        let (id, except, place) = (arrived.id.as_deref(), arrived.except, arrived.place);
        let headers = Headers { topic: name, id, except, keeping, place };
        self.publish(&Message { plain: &arrived.message, compressed }, &headers, ledger, dirty)
    }

    /// Keep these messages instead of those that are here. Up to `trimmed` none is kept.
    fn keep(&mut self, epoch: u64, trimmed: u64, reason: Gap, messages: Vec<Arrived>) {
        let Some(history) = self.history.as_mut() else { return };
        history.restart(epoch, trimmed, reason);
        let now = Instant::now();
        for message in messages {
            let headers = Headers {
                topic: "",
                id: message.id.as_deref(),
                except: message.except,
                keeping: Keeping::Keep,
                place: message.place,
            };
            if message.place.is_some_and(|place| place.sequence > trimmed) {
                history.append(&message.message, &headers, now);
            }
        }
    }

    /// Those that wait begin.
    fn admit(&mut self, name: &str, dirty: &mut Vec<Arc<Connection>>) {
        let Some(replica) = self.history.as_mut().and_then(|history| history.replica.as_mut()) else { return };
        let now = Instant::now();
        for (_, Waiting { connection, start, request }) in std::mem::take(&mut replica.waiting) {
            self.begin(name, &connection, start, request, now);
            dirty.push(connection);
        }
    }

    /// Positions do not count any more. All subscribers are told, and begin with what is kept when it was read.
    fn begin_anew(&mut self, name: &str, dirty: &mut Vec<Arc<Connection>>) {
        let live: Vec<_> = self.live.by_id.values().cloned().collect();
        let Some(history) = self.history.as_mut() else { return };
        let behind: Vec<_> =
            std::mem::take(&mut history.behind).into_values().map(|behind| behind.connection).collect();
        for connection in live.into_iter().chain(behind) {
            self.live.remove(connection.id);
            dirty.push(Arc::clone(&connection));
            let is_told = say_gap(name, &connection, Gap::Restart);
            let replica = self.history.as_mut().and_then(|history| history.replica.as_mut());
            if let Some(replica) = replica.filter(|_| is_told) {
                replica.wait(&connection, Start::Last(usize::MAX), None);
            }
        }
        if let Some(replica) = self.history.as_mut().and_then(|history| history.replica.as_mut()) {
            *replica = Replica { waiting: std::mem::take(&mut replica.waiting), ..Replica::default() };
        }
    }
}
