//! Who is there: clients of `hassock.v1` learn the members of a topic, who joins and who leaves.
//!
//! Changes wait for a moment, so that many of them are one message. If they are followed by a message of the topic, they go
//! before it: a client never hears of a member before it has joined. A topic with many members tells only how many there are,
//! because each join would otherwise be a message to all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hassock_frames::Encoded;

use super::subscribers::Subscribers;
use crate::app::connection::{Connection, SendError};
use crate::client_protocol::{Member, ToClient};

/// How long changes wait for others. Nobody notices a tenth of a second.
pub(super) const EVERY: Duration = Duration::from_millis(100);

/// The presence of a topic.
#[derive(Default)]
pub(super) struct Presence {
    /// Up to how many members are listed.
    most: usize,
    /// Whether the clients know the list.
    is_listed: bool,
    /// Some clients were not told what others were told, so that all have to be told everything.
    is_stale: bool,
    joined: BTreeMap<u64, Arc<Connection>>,
    left: BTreeSet<u64>,
}

impl Presence {
    /// The presence of a topic, which may have members that were told nothing yet.
    pub(super) fn new(most: usize, has_members: bool) -> Self {
        Self { most, is_listed: true, is_stale: has_members, ..Self::default() }
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// A member has come, or what is known of it has changed.
    pub(super) fn join(&mut self, connection: &Arc<Connection>) {
        self.joined.insert(connection.id, Arc::clone(connection));
    }

    /// A member has left. Clients ignore it if they did not know it yet.
    pub(super) fn leave(&mut self, id: u64) {
        self.joined.remove(&id);
        self.left.insert(id);
    }

    /// Whether the clients do not know something yet.
    pub(super) fn has_changes(&self) -> bool {
        self.is_stale || !self.joined.is_empty() || !self.left.is_empty()
    }

    /// Whether what is not known yet has to be told before a message.
    pub(super) fn comes_first(&self) -> bool {
        self.has_changes() && self.is_listed
    }

    /// What a client that comes now is told: all members, which includes those that others do not know yet.
    pub(super) fn first<'a>(
        &mut self,
        topic: &str,
        count: usize,
        members: impl Iterator<Item = &'a Arc<Connection>>,
    ) -> Encoded {
        self.is_stale |= count > self.most;
        self.snapshot(topic, count, members)
    }

    fn snapshot<'a>(&self, topic: &str, count: usize, members: impl Iterator<Item = &'a Arc<Connection>>) -> Encoded {
        let members: Option<Vec<Member>> = (count <= self.most).then(|| members.map(member).collect());
        ToClient::Presence { topic, count, members: members.as_deref(), joined: None, left: None }.encoded()
    }

    /// What all clients are told of the changes, which are forgotten.
    pub(super) fn take_changes<'a>(
        &mut self,
        topic: &str,
        count: usize,
        members: impl Iterator<Item = &'a Arc<Connection>>,
    ) -> Encoded {
        let (joined, left) = (std::mem::take(&mut self.joined), std::mem::take(&mut self.left));
        let was_listed = std::mem::replace(&mut self.is_listed, count <= self.most);
        if std::mem::take(&mut self.is_stale) || !self.is_listed || !was_listed {
            return self.snapshot(topic, count, members);
        }
        let joined: Vec<Member> = joined.values().map(member).collect();
        let left: Vec<u64> = left.into_iter().collect();
        ToClient::Presence { topic, count, members: None, joined: Some(&joined), left: Some(&left) }.encoded()
    }
}

/// Queue a message for each subscriber that speaks the client protocol. There is none if the host has no memory for it. Returns
/// those whose outbox is full, and which the topic may leave behind.
pub(super) fn tell(
    subscribers: &Subscribers,
    message: Option<&Encoded>,
    may_leave: impl Fn(&Connection) -> bool,
    dirty: &mut Vec<Arc<Connection>>,
) -> Vec<Arc<Connection>> {
    let mut late = Vec::new();
    for connection in subscribers.by_id.values().filter(|connection| connection.speaks()) {
        let queued = match message {
            Some(message) => connection.outbox.push_published(message.clone()),
            None => Err(SendError::OutOfMemory),
        };
        match queued {
            Err(SendError::Full) if may_leave(connection) => late.push(Arc::clone(connection)),
            Err(error) => connection.outbox.fail(error),
            Ok(()) => {}
        }
        dirty.push(Arc::clone(connection));
    }
    late
}

fn member(connection: &Arc<Connection>) -> Member {
    Member { connection: connection.id, data: connection.presence() }
}
