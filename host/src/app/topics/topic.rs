//! One topic: its subscribers, and what is kept of it.

use std::sync::Arc;

use hassock_frames::{Deflate, Encoded};
use tokio::time::Instant;

use super::follower::Follower;
use super::history::{Behind, History, Start};
use super::ledger::Ledger;
use super::policy::Policy;
use super::presence::{self, Presence};
use super::replica::Replica;
use super::say::{say_gap, say_position, say_subscribed};
use super::subscribers::{Forms, Message, Subscribers};
use crate::app::connection::{Close, Connection, SendError};
use crate::client_protocol::{Gap, Position, topic_header};
use crate::cluster::Placed;

/// How a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The position before the first message that the subscriber gets. None if the topic has no history.
    pub position: Option<Position>,
    /// Why messages after the position that was asked for are missing, if they are.
    pub gap: Option<Gap>,
}

/// What a message is published with.
#[derive(Debug, Clone, Copy)]
pub(in crate::app) struct Headers<'a> {
    /// The name of the topic.
    pub topic: &'a str,
    /// The id that the publisher gave the message.
    pub id: Option<&'a str>,
    /// The subscriber that does not get it.
    pub except: Option<u64>,
    /// Whether the topic keeps the message, if it keeps any.
    pub keeping: Keeping,
    /// Where the cluster has it, if the host is in one.
    pub place: Option<Placed>,
}

/// Whether a topic with a history keeps a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeping {
    /// It does.
    #[default]
    Keep,
    /// Only those who are there get it.
    Skip,
}

/// A topic.
pub(super) struct Topic {
    pub(super) live: Subscribers,
    pub(super) history: Option<Box<History>>,
    presence: Option<Box<Presence>>,
    /// What brings the messages of other hosts, if there are any.
    pub(super) follower: Option<Follower>,
    /// Nothing is kept, and all subscribers get a message as it is.
    is_simple: bool,
}

impl Topic {
    pub(super) fn new(policy: Option<Policy>, ledger: &Arc<Ledger>, follower: Option<Follower>) -> Self {
        let mut topic = Self { live: Subscribers::default(), history: None, presence: None, follower, is_simple: true };
        if policy.is_some() {
            topic.set_policy(policy, ledger, Instant::now());
        }
        topic
    }

    /// Whether a message can be delivered as it is.
    #[inline]
    pub(super) fn is_simple(&self) -> bool {
        self.is_simple
    }

    fn refresh(&mut self) {
        let is_plain = !self.live.has_compressed() && !self.live.has_speaking();
        self.is_simple = is_plain && self.history.is_none() && self.presence.is_none();
    }

    /// How messages are compressed for the subscribers.
    pub(super) fn forms(&self) -> Forms<Option<Deflate>> {
        self.live.forms()
    }

    /// The policy has changed.
    pub(super) fn set_policy(&mut self, policy: Option<Policy>, ledger: &Arc<Ledger>, now: Instant) {
        match (policy.and_then(|policy| policy.presence), &mut self.presence) {
            (Some(most), Some(presence)) => presence.set_most(most),
            (most, presence) => *presence = most.map(|most| Box::new(Presence::new(most, !self.live.by_id.is_empty()))),
        }
        match (policy.filter(Policy::keeps), self.history.as_mut()) {
            (Some(policy), Some(history)) => history.set_policy(policy, now),
            (Some(policy), None) => {
                let mut history = History::new(policy, ledger, self.follower.as_ref().map(|_| Replica::default()));
                if let Some(replica) = &mut history.replica {
                    let live = std::mem::take(&mut self.live).by_id.into_values();
                    live.for_each(|connection| replica.wait(&connection, Start::Now, None));
                }
                self.history = Some(Box::new(history));
            }
            (None, Some(history)) => {
                for (_, Behind { connection, .. }) in std::mem::take(&mut history.behind) {
                    // What it still waits for is not there any more.
                    connection.close(Close::too_slow());
                }
                let waiting = history.replica.as_mut().map(|replica| std::mem::take(&mut replica.waiting));
                waiting.into_iter().flatten().for_each(|(_, waiting)| self.live.add(&waiting.connection));
                self.history = None;
            }
            (None, None) => {}
        }
        self.refresh();
    }

    /// All subscribers, ascending.
    pub(super) fn subscribers(&self) -> Vec<u64> {
        self.members().iter().map(|member| member.id).collect()
    }

    /// All subscribers, ascending.
    pub(super) fn members(&self) -> Vec<&Arc<Connection>> {
        let mut all: Vec<&Arc<Connection>> = self.live.by_id.values().collect();
        if let Some(history) = self.history.as_ref().filter(|history| history.late() > 0) {
            all.extend(history.behind.values().map(|behind| &behind.connection));
            all.extend(history.replica.iter().flat_map(Replica::waiting));
            all.sort_unstable_by_key(|connection| connection.id);
        }
        all
    }

    /// Whether the topic tells its clients who is there, and something has changed.
    pub(super) fn has_changes(&self) -> bool {
        self.presence.as_ref().is_some_and(|presence| presence.has_changes())
    }

    /// What is known of a member has changed.
    pub(super) fn update(&mut self, connection: &Arc<Connection>) {
        let is_behind = |history: &History| history.is_late(connection.id);
        let is_member = self.live.by_id.contains_key(&connection.id) || self.history.as_deref().is_some_and(is_behind);
        if let Some(presence) = self.presence.as_mut().filter(|_| is_member) {
            presence.join(connection);
        }
    }

    /// Tell the clients who has come and who has left.
    pub(super) fn tell_changes(&mut self, name: &str, ledger: &Ledger, dirty: &mut Vec<Arc<Connection>>) {
        let Some(mut presence) = self.presence.take() else { return };
        if presence.has_changes() {
            let keeps = self.history.is_some();
            let may_leave = |connection: &Connection| keeps && connection.resumption().is_some();
            let message = presence.take_changes(name, self.count(), self.members().into_iter());
            let late = presence::tell(&self.live, ledger.keep(message).as_ref(), may_leave, dirty);
            // They learn who is there when they have everything.
            let offset = self.history.as_ref().map_or(0, |history| history.position().offset);
            self.put_behind(late, offset, dirty);
        }
        self.presence = Some(presence);
    }

    /// Let a subscriber get what is published from now on.
    fn go_live(&mut self, name: &str, connection: &Arc<Connection>) {
        self.live.add(connection);
        self.refresh();
        let Some(mut presence) = self.presence.take() else { return };
        if connection.speaks() {
            let snapshot = presence.first(name, self.count(), self.members().into_iter());
            connection.outbox.push_spoken(snapshot).unwrap_or_else(|error| connection.outbox.fail(error));
        }
        self.presence = Some(presence);
    }

    pub(super) fn count(&self) -> usize {
        self.live.by_id.len() + self.history.as_ref().map_or(0, |history| history.late())
    }

    /// Whether nobody is subscribed, and nothing is kept.
    pub(super) fn is_idle(&self) -> bool {
        self.live.by_id.is_empty() && self.history.as_ref().is_none_or(|history| history.is_empty())
    }

    /// Forget a subscriber.
    pub(super) fn remove(&mut self, id: u64) {
        self.detach(id);
        // Also one that was to be closed, and is in no list any more.
        if let Some(presence) = &mut self.presence {
            presence.leave(id);
        }
    }

    /// Forget a subscriber, which may be added again. False if it was none.
    fn detach(&mut self, id: u64) -> bool {
        let was_live = self.live.remove(id);
        if was_live {
            self.refresh();
        }
        was_live || self.history.as_mut().is_some_and(|history| history.remove(id))
    }

    /// A subscriber subscribes again, which changes nothing.
    pub(super) fn stay(&mut self, name: &str, connection: &Connection, request: Option<u64>) -> Subscription {
        let replica = self.history.as_mut().and_then(|history| history.replica.as_mut());
        if replica.is_some_and(|replica| replica.ask(connection.id, request)) {
            return Subscription { position: None, gap: None };
        }
        let position = self.history.as_ref().map(|history| match history.behind.get(&connection.id) {
            Some(behind) => Position { offset: behind.offset, ..history.position() },
            None => history.position(),
        });
        let subscription = Subscription { position, gap: None };
        if request.is_some() {
            say_subscribed(name, connection, subscription, false, request);
        }
        subscription
    }

    /// Add a subscriber, and queue for it what it missed, as far as there is room for it now.
    pub(super) fn subscribe(
        &mut self,
        name: &str,
        connection: &Arc<Connection>,
        start: Start,
        request: Option<u64>,
        now: Instant,
    ) -> Subscription {
        if !self.detach(connection.id)
            && let Some(presence) = &mut self.presence
        {
            presence.join(connection);
        }
        if let Some(history) = self.history.as_mut().filter(|history| history.has_to_read(start)) {
            // The answer comes when the cluster has told what there is.
            history.replica.iter_mut().for_each(|replica| replica.wait(connection, start, request));
            self.follower.iter().for_each(Follower::read);
            return Subscription { position: None, gap: None };
        }
        self.begin(name, connection, start, request, now)
    }

    /// The same when it is known what there is.
    pub(super) fn begin(
        &mut self,
        name: &str,
        connection: &Arc<Connection>,
        start: Start,
        request: Option<u64>,
        now: Instant,
    ) -> Subscription {
        let was_recovering = matches!(start, Start::Since(_));
        let Some(history) = &mut self.history else {
            let subscription = Subscription { position: None, gap: was_recovering.then_some(Gap::None) };
            say_subscribed(name, connection, subscription, was_recovering, request);
            self.go_live(name, connection);
            return subscription;
        };
        let (offset, gap) = history.begin(start, now);
        let position = Position { offset, ..history.position() };
        let subscription = Subscription { position: Some(position), gap };
        say_subscribed(name, connection, subscription, was_recovering, request);
        history.behind.insert(connection.id, Behind { connection: Arc::clone(connection), offset });
        self.catch_up(name, connection.id);
        subscription
    }

    /// Queue what a subscriber has not got yet, as far as there is room. It is live when it has everything. Returns whether it
    /// has.
    pub(super) fn catch_up(&mut self, name: &str, id: u64) -> bool {
        let Some(history) = &mut self.history else { return true };
        let Some(mut behind) = history.behind.remove(&id) else { return true };
        let connection = Arc::clone(&behind.connection);
        // It has to read first. What it is told here would not fit otherwise.
        if !connection.outbox.is_half_empty() {
            connection.fall_behind();
            history.behind.insert(id, behind);
            return false;
        }
        if let Some(gap) = history.gap_after_offset(behind.offset) {
            behind.offset = history.trimmed();
            if !say_gap(name, &connection, gap) {
                return true;
            }
        }
        let mut sent = Ok(());
        for kept in history.after(behind.offset) {
            if !connection.outbox.is_half_empty() {
                sent = Err(SendError::Full);
                break;
            }
            let position = Position { offset: kept.offset, ..history.position() };
            if kept.except == Some(id) {
                sent = say_position(name, &connection, position);
                if sent.is_err() {
                    break;
                }
                behind.offset = kept.offset;
                continue;
            }
            sent = match connection.speaks() {
                true => {
                    let header = topic_header(name, Some(position), kept.id.as_deref());
                    connection.outbox.push_spoken(kept.message.with_header(header.as_bytes()))
                }
                false => connection.outbox.push_published(kept.message.clone()),
            };
            if sent.is_err() {
                break;
            }
            behind.offset = kept.offset;
        }
        // A subscriber learns who is there when it goes live, which needs room too.
        if sent.is_ok() && self.presence.is_some() && !connection.outbox.is_half_empty() {
            sent = Err(SendError::Full);
        }
        match sent {
            Ok(()) => {
                self.go_live(name, &connection);
                true
            }
            Err(SendError::Full) => {
                connection.fall_behind();
                history.behind.insert(id, behind);
                false
            }
            Err(error) => {
                connection.outbox.fail(error);
                true
            }
        }
    }

    /// Let subscribers get later what comes after an offset.
    pub(super) fn put_behind(&mut self, late: Vec<Arc<Connection>>, offset: u64, dirty: &mut Vec<Arc<Connection>>) {
        let Some(history) = self.history.as_mut().filter(|_| !late.is_empty()) else { return };
        for connection in late {
            self.live.remove(connection.id);
            connection.fall_behind();
            // The client may be back, and the session asleep.
            dirty.push(Arc::clone(&connection));
            history.behind.insert(connection.id, Behind { connection, offset });
        }
        self.refresh();
    }

    /// Keep a message, and queue it for each subscriber. Returns how many it reached, and its position.
    pub(super) fn publish(
        &mut self,
        message: &Message<'_>,
        headers: &Headers<'_>,
        ledger: &Ledger,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> (u32, Option<Position>) {
        if self.presence.as_ref().is_some_and(|presence| presence.comes_first()) {
            self.tell_changes(headers.topic, ledger, dirty);
        }
        // In a cluster, only what the stream has is kept: another message was published just before the topic got a history.
        let keeps = |history: &&mut Box<History>| history.replica.is_none() || headers.place.is_some();
        let history = self.history.as_mut().filter(|_| headers.keeping == Keeping::Keep).filter(keeps);
        let position = history.map(|history| history.append(message.plain, headers, Instant::now()));
        if !self.live.has_speaking() {
            let form = |connection: &Connection| Some(message.form(connection));
            return (self.live.deliver(form, headers.except, None, dirty), position);
        }
        let header = topic_header(headers.topic, position, headers.id);
        let with_header = |message: &Encoded| ledger.keep(message.with_header(header.as_bytes()));
        let plain = with_header(message.plain);
        let compressed = Forms {
            full: message.compressed.full.as_ref().and_then(with_header),
            small: message.compressed.small.as_ref().and_then(with_header),
        };
        let spoken = plain.as_ref().map(|plain| Message { plain, compressed: &compressed });
        let form = |connection: &Connection| match connection.speaks() {
            true => spoken.as_ref().map(|spoken| spoken.form(connection)),
            false => Some(message.form(connection)),
        };
        let mut late = Vec::new();
        let reached = self.live.deliver(form, headers.except, position.map(|_| &mut late), dirty);
        if let Some(position) = position {
            self.put_behind(late, position.offset.saturating_sub(1), dirty);
        }
        if let (Some(position), Some(excepted)) = (position, headers.except.and_then(|id| self.live.by_id.get(&id)))
            && excepted.speaks()
        {
            // If it is not told now, it gets its own message after an interruption, which does less harm than a close.
            let _ = say_position(headers.topic, excepted, position);
            dirty.push(Arc::clone(excepted));
        }
        (reached, position)
    }
}
