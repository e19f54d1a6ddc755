//! The topics of an app: the subscriptions, the delivery of published messages, and what is kept of them.
//!
//! Reading order: `topic` (what happens to a message and to a subscriber) → `subscribers` → `history` → `ledger` (what all
//! histories of the app share) → `policy` → `sweep`.
//!
//! Invariant 10: a subscriber becomes live under the lock of its topic, in the moment in which it has every message that is
//! kept after its position. A message is kept and delivered under the same lock. So it gets each message either from the
//! history or when it is published, and never both.

mod follower;
mod history;
mod ledger;
mod page;
mod policy;
mod presence;
mod replica;
mod say;
mod subscribers;
mod sweep;
mod take_in;
mod topic;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use hassock_frames::{Deflate, Encoded};
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use tokio::time::Instant;

pub use history::{Kept, Start};
pub use ledger::HistoryReport;
pub use page::HistoryPage;
pub(super) use replica::Delivered;
pub(super) use take_in::TakenIn;
pub(super) use topic::Headers;
pub use topic::{Keeping, Subscription};

use follower::Follower;
use ledger::Ledger;
use page::{MAX_PAGE, page, within};
use policy::{Policies, Policy};
use subscribers::{Forms, Message};
use sweep::Changed;
use topic::Topic;

use super::App;
use super::connection::Connection;
use crate::client_protocol::{Gap, Member, Position, ToClient};
use crate::cluster::AppStream;
use crate::config::TopicConfig;
use crate::memory_budget::MemoryBudget;

/// The maximum length of a topic's name in bytes. The name is stored once for each topic and once for each
/// subscription.
const MAX_NAME: usize = 256;

/// Why a call about topics failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The name is empty or longer than 256 bytes.
    #[error("a topic's name has 1 to 256 bytes")]
    InvalidName,
    /// The connection has the maximum number of subscriptions.
    #[error("the connection has `topics_per_connection` already")]
    TooMany,
    /// The connection has ended.
    #[error("the connection has ended")]
    Forgotten,
}

/// All topics of an app.
pub struct Topics {
    /// The inner lock is held while a message is delivered to all subscribers, so that all of them see the same order.
    by_name: RwLock<HashMap<Arc<str>, Mutex<Topic>>>,
    policies: RwLock<Policies>,
    ledger: Arc<Ledger>,
    /// Topics whose clients have to be told who has come or left.
    changed: Arc<Changed>,
    /// Where messages of other hosts come from, if there are any, and the app that gets them.
    cluster: OnceLock<(Weak<App>, Arc<AppStream>)>,
}

impl Topics {
    /// No topics yet. `epoch` tells this run of the host apart from others; it is less than 2^53.
    pub fn new(epoch: u64, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            by_name: RwLock::default(),
            policies: RwLock::default(),
            ledger: Arc::new(Ledger::new(epoch, memory)),
            changed: Arc::default(),
            cluster: OnceLock::new(),
        }
    }

    /// Keep messages as the config says from now on: those of these topics, and together at most so many bytes.
    pub fn configure(&self, topics: &BTreeMap<String, TopicConfig>, history_bytes: usize) {
        let policies = Policies::new(topics);
        self.ledger.set_limit(history_bytes);
        let mut by_name = self.by_name.write();
        let before = std::mem::replace(&mut *self.policies.write(), policies);
        let policies = self.policies.read();
        if *policies == before {
            return;
        }
        if !before.is_empty() {
            // What is published while a topic has no history has no position. If it has one again, that begins behind
            // every position that is known of it.
            self.ledger.forget(self.ledger.next_offset());
        }
        self.set_shape(&policies);
        let now = Instant::now();
        for (name, topic) in by_name.iter_mut() {
            let topic = topic.get_mut();
            topic.set_policy(policies.of(name), &self.ledger, now);
            topic.follower.iter().for_each(Follower::read);
            self.changed.note(name, topic);
        }
    }

    /// Subscribe a connection from its next message on. Subscribing again changes nothing.
    ///
    /// # Errors
    /// If the name is not valid, or the connection already has `most` subscriptions.
    pub fn subscribe(&self, connection: &Arc<Connection>, topic: &str, most: usize) -> Result<(), TopicError> {
        self.subscribe_from(connection, topic, Start::Now, None, most).map(drop)
    }

    /// Subscribe a connection from a point of the past on, or again from there if it is subscribed. It gets what it missed
    /// before everything that is published from now on. `request` is its number for the answer, if it asked for this.
    ///
    /// A client that has said in its handshake where it was continues there, if nothing else is asked for.
    ///
    /// # Errors
    /// If the name is not valid, or the connection already has `most` subscriptions.
    pub fn subscribe_from(
        &self,
        connection: &Arc<Connection>,
        topic: &str,
        start: Start,
        request: Option<u64>,
        most: usize,
    ) -> Result<Subscription, TopicError> {
        check_name(topic)?;
        let mut topics = self.by_name.write();
        let mut own = connection.topics.lock();
        if connection.is_forgotten.load(Ordering::Relaxed) {
            return Err(TopicError::Forgotten);
        }
        let is_subscribed = own.contains(topic);
        if !is_subscribed && own.len() >= most {
            return Err(TopicError::TooMany);
        }
        let start = match start {
            Start::Now | Start::Last(_) if !is_subscribed => connection.take_since(topic).map_or(start, Start::Since),
            start => start,
        };
        let name: Arc<str> = match topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => topic.into(),
        };
        own.insert(Arc::clone(&name));
        drop(own);
        let new = || Mutex::new(self.new_topic(&name));
        topics.entry(Arc::clone(&name)).or_insert_with(new);
        // Others may publish to their topics while this one gets what it missed, and nobody can remove the topic.
        let topics = RwLockWriteGuard::downgrade(topics);
        let Some(mut entry) = topics.get(&name).map(Mutex::lock) else { return Err(TopicError::Forgotten) };
        if is_subscribed && start == Start::Now {
            return Ok(entry.stay(topic, connection, request));
        }
        let subscription = entry.subscribe(topic, connection, start, request, Instant::now());
        self.changed.note(topic, &entry);
        if matches!(start, Start::Since(_)) {
            self.ledger.note_recovery(subscription.gap);
        }
        Ok(subscription)
    }

    /// End a subscription, if it exists. False if it does not.
    pub fn unsubscribe(&self, connection: &Connection, topic: &str) -> bool {
        let mut topics = self.by_name.write();
        let was_subscribed = connection.topics.lock().remove(topic);
        if was_subscribed {
            self.remove(&mut topics, connection.id, topic);
            if connection.speaks() {
                let said = connection.outbox.push_spoken(ToClient::Unsubscribed { topic }.encoded());
                said.unwrap_or_else(|error| connection.outbox.fail(error));
            }
        }
        was_subscribed
    }

    /// End all subscriptions of a connection.
    pub fn unsubscribe_all(&self, connection: &Connection) {
        if connection.topics.lock().is_empty() {
            return;
        }
        let mut topics = self.by_name.write();
        for topic in std::mem::take(&mut *connection.topics.lock()) {
            self.remove(&mut topics, connection.id, &topic);
        }
    }

    /// What is known of a connection has changed: the clients of its topics are told.
    pub(crate) fn update_presence(&self, connection: &Arc<Connection>) {
        let own: Vec<Arc<str>> = connection.topics.lock().iter().cloned().collect();
        let topics = self.by_name.read();
        for name in own {
            if let Some(topic) = topics.get(&name) {
                let mut topic = topic.lock();
                topic.update(connection);
                self.changed.note(&name, &topic);
            }
        }
    }

    /// Tell the clients of all topics that have changed who has come and who has left.
    fn tell_changes(&self) {
        let mut dirty = Vec::new();
        for name in self.changed.take() {
            if let Some(topic) = self.by_name.read().get(&name) {
                topic.lock().tell_changes(&name, &self.ledger, &mut dirty);
            }
        }
        dirty.iter().for_each(|connection| connection.wake());
    }

    /// Queue what a connection has not got yet of its topics, as far as there is room in its outbox.
    pub(crate) fn catch_up(&self, connection: &Connection) {
        connection.catch_up();
        let own: Vec<Arc<str>> = connection.topics.lock().iter().cloned().collect();
        let topics = self.by_name.read();
        for name in own {
            if let Some(topic) = topics.get(&name) {
                topic.lock().catch_up(&name, connection.id);
            }
        }
    }

    /// Queue `message` for every subscriber except one, and add each connection that it reached to `dirty`. A
    /// subscriber with a full outbox is closed, because it would otherwise miss a message without knowing it. Returns how many
    /// it reached, and its position if the topic keeps it.
    ///
    /// Those that agreed to compression get what `compress` makes of the message, which is called once for each window that
    /// is needed.
    pub(super) fn publish(
        &self,
        message: &Encoded,
        headers: &Headers<'_>,
        compress: impl Fn(&Encoded, Deflate) -> Encoded,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> (u32, Option<Position>) {
        let wanted = {
            let topics = self.by_name.read();
            let Some(topic) = topics.get(headers.topic) else {
                drop(topics);
                return self.publish_to_nobody(message, headers, dirty);
            };
            let topic = topic.lock();
            if topic.is_simple() {
                return (topic.live.deliver(|_| Some(message), headers.except, None, dirty), None);
            }
            topic.forms()
        };
        // Nobody waits for the topic while the message is compressed. Those that agreed to compression read other messages
        // too, so it does no harm if others subscribe meanwhile.
        let compressed = wanted.map(|how| compress(message, how));
        let topics = self.by_name.read();
        let Some(topic) = topics.get(headers.topic) else {
            drop(topics);
            return self.publish_to_nobody(message, headers, dirty);
        };
        let message = Message { plain: message, compressed: &compressed };
        topic.lock().publish(&message, headers, &self.ledger, dirty)
    }

    /// Keep a message of a topic that did not exist a moment ago, if its history is kept.
    #[cold]
    fn publish_to_nobody(
        &self,
        message: &Encoded,
        headers: &Headers<'_>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> (u32, Option<Position>) {
        let keeps = || self.policies.read().of(headers.topic).is_some_and(|policy| policy.keeps());
        if headers.keeping == Keeping::Skip || check_name(headers.topic).is_err() || !keeps() {
            return (0, None);
        }
        let mut topics = self.by_name.write();
        let name: Arc<str> = headers.topic.into();
        let new = || Mutex::new(self.new_topic(&name));
        let topic = topics.entry(Arc::clone(&name)).or_insert_with(new).get_mut();
        let nothing = Forms::default();
        let message = Message { plain: message, compressed: &nothing };
        topic.publish(&message, headers, &self.ledger, dirty)
    }

    /// The messages of a topic after a position or, without one, the last ones: at most `limit`. None if the topic keeps
    /// none.
    pub fn history(&self, topic: &str, since: Option<Position>, limit: usize) -> Option<HistoryPage> {
        let topics = self.by_name.read();
        let Some(topic) = topics.get(topic) else {
            drop(topics);
            return self.history_of_nothing(topic, since);
        };
        let mut topic = topic.lock();
        Some(page(topic.history.as_mut()?, since, limit))
    }

    /// The history of a topic of which nothing is kept now.
    fn history_of_nothing(&self, topic: &str, since: Option<Position>) -> Option<HistoryPage> {
        self.policies.read().of(topic).filter(Policy::keeps)?;
        let latest = self.ledger.position(self.ledger.forgotten());
        let gap = match since {
            Some(since) if since.epoch != latest.epoch => Some(Gap::Restart),
            Some(since) if since.offset < latest.offset => Some(Gap::Age),
            _ => None,
        };
        Some(HistoryPage { messages: Vec::new(), latest, gap, is_cut: false })
    }

    /// How many topics and how many subscriptions there are.
    pub fn count(&self) -> (usize, usize) {
        let topics = self.by_name.read();
        (topics.len(), topics.values().map(|topic| topic.lock().count()).sum())
    }

    /// What is kept of all topics.
    pub fn report(&self) -> HistoryReport {
        self.ledger.report()
    }

    /// Look at the name of each topic that has subscribers or keeps messages, and at how many subscribers it has, in any order.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<str>, usize)) {
        self.by_name.read().iter().for_each(|(name, topic)| look(name, topic.lock().count()));
    }

    /// The ids of a topic's subscribers, ascending.
    pub fn subscribers(&self, topic: &str) -> Vec<u64> {
        let topics = self.by_name.read();
        topics.get(topic).map(|topic| topic.lock().subscribers()).unwrap_or_default()
    }

    /// The subscribers of a topic whose ids are larger than `after`, ascending: at most `limit`.
    /// Also whether there are more.
    pub fn members(&self, topic: &str, after: u64, limit: usize) -> (Vec<Member>, bool) {
        let topics = self.by_name.read();
        let Some(topic) = topics.get(topic) else { return (Vec::new(), false) };
        let topic = topic.lock();
        let all: Vec<_> = topic.members().into_iter().filter(|member| member.id > after).collect();
        let members = all.iter().take(limit);
        let members = members.map(|member| Member { connection: member.id, data: member.presence() });
        let bytes = |member: &Member| size_of::<Member>() + member.data.as_ref().map_or(0, String::len);
        let members: Vec<Member> = within(MAX_PAGE, members, bytes).collect();
        let is_cut = members.len() < all.len();
        (members, is_cut)
    }

    /// How many subscribers a topic has.
    pub fn member_count(&self, topic: &str) -> usize {
        self.by_name.read().get(topic).map_or(0, |topic| topic.lock().count())
    }

    fn remove(&self, topics: &mut HashMap<Arc<str>, Mutex<Topic>>, id: u64, name: &str) {
        let Some(topic) = topics.get_mut(name) else { return };
        let topic = topic.get_mut();
        topic.remove(id);
        self.changed.note(name, topic);
        if topic.is_idle() {
            topics.remove(name);
        }
    }

    fn new_topic(&self, name: &Arc<str>) -> Topic {
        let follow = |(app, stream): &(Weak<App>, Arc<AppStream>)| {
            Follower::start(Weak::clone(app), Arc::clone(stream), Arc::clone(name))
        };
        Topic::new(self.policies.read().of(name), &self.ledger, self.cluster.get().map(follow))
    }
}

fn check_name(topic: &str) -> Result<(), TopicError> {
    match topic.is_empty() || topic.len() > MAX_NAME {
        true => Err(TopicError::InvalidName),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
