//! What comes from other hosts.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hassock_frames::{Deflate, Encoded};

use super::Topics;
use super::page::{HistoryPage, page};
use super::policy::{Policies, Policy};
use super::replica::{Delivered, Intake};
use super::topic::Topic;
use crate::app::App;
use crate::app::connection::Connection;
use crate::client_protocol::Position;
use crate::cluster::{AppStream, Arrived, ReadPage};

/// Whether a message that has come was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum TakenIn {
    /// It was, or had been before.
    Yes,
    /// There may be others before it, which have to be read.
    NotYet,
    /// It was, unless the stream has begun anew, which a reading shows.
    Perhaps,
}

impl Topics {
    /// Get the messages of other hosts from now on. There are no topics yet.
    pub(in crate::app) fn join_cluster(&self, app: Weak<App>, stream: Arc<AppStream>) {
        let _ = self.cluster.set((app, stream));
        self.set_shape(&self.policies.read());
    }

    /// What the stream of the cluster has to be like.
    pub(super) fn set_shape(&self, policies: &Policies) {
        if let Some((_, stream)) = self.cluster.get() {
            stream.set_shape(policies.shape());
        }
    }

    /// Whether messages of a topic are kept.
    pub(in crate::app) fn keeps(&self, topic: &str) -> bool {
        self.policies.read().of(topic).is_some_and(|policy| policy.keeps())
    }

    /// For how long, if they are.
    pub(super) fn keeps_for(&self, topic: &str) -> Option<Duration> {
        self.policies.read().of(topic).filter(Policy::keeps).map(|policy| policy.keep)
    }

    /// The number behind which a topic is to be read, and how many messages. None if it has no history.
    pub(super) fn to_read(&self, topic: &str) -> Option<(u64, usize)> {
        self.by_name.read().get(topic)?.lock().history.as_ref()?.to_read()
    }

    /// Deliver a message that has come, and add each connection that it reached to `dirty`. Returns also how many these are, and
    /// its position.
    pub(in crate::app) fn take_in(
        &self,
        topic: &str,
        arrived: &Arrived,
        compress: impl Fn(&Encoded, Deflate) -> Encoded,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> (TakenIn, u32, Option<Position>) {
        let forms = {
            let topics = self.by_name.read();
            let Some(entry) = topics.get(topic) else { return (TakenIn::Yes, 0, None) };
            let entry = entry.lock();
            match entry.history.as_ref().map_or(Intake::Next, |history| history.intake(arrived)) {
                Intake::Next => entry.forms(),
                Intake::Known => return (TakenIn::Yes, 0, None),
                Intake::Later => return (TakenIn::NotYet, 0, None),
                Intake::Stale => return (TakenIn::Perhaps, 0, None),
            }
        };
        // Nobody waits for the topic while the message is compressed.
        let compressed = forms.map(|how| compress(&arrived.message, how));
        let topics = self.by_name.read();
        let Some(entry) = topics.get(topic) else { return (TakenIn::Yes, 0, None) };
        let mut entry = entry.lock();
        // The topic may be another one of the same name by now.
        if entry.history.as_ref().is_some_and(|history| history.intake(arrived) != Intake::Next) {
            return (TakenIn::NotYet, 0, None);
        }
        let (reached, position) = entry.deliver(topic, arrived, &compressed, &self.ledger, dirty);
        (TakenIn::Yes, reached, position)
    }

    /// Take in what was read of a topic `after` a number. Returns the messages that were delivered, in their order; none if it has to
    /// be read once more.
    pub(in crate::app) fn fill(
        &self,
        topic: &str,
        after: u64,
        page: ReadPage,
        compress: impl Fn(&Encoded, Deflate) -> Encoded,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> Option<Vec<Delivered>> {
        let topics = self.by_name.read();
        let Some(entry) = topics.get(topic) else { return Some(Vec::new()) };
        let mut entry = entry.lock();
        let delivered = entry.fill(topic, after, page, compress, &self.ledger, dirty);
        self.changed.note(topic, &entry);
        delivered
    }

    /// The messages of a topic after a position or, without one, the last ones, from what was read of it as a whole. None if the
    /// topic keeps none.
    pub(in crate::app) fn history_of(
        &self,
        topic: &str,
        read: ReadPage,
        since: Option<Position>,
        limit: usize,
    ) -> Option<HistoryPage> {
        let policy = self.policies.read().of(topic).filter(Policy::keeps)?;
        let mut copy = Topic::copy(policy, &self.ledger);
        let _ = copy.fill(topic, 0, read, |message, _| message.clone(), &self.ledger, &mut Vec::new());
        Some(page(copy.history.as_mut()?, since, limit))
    }

    /// How many messages a topic may keep, and one more.
    pub(in crate::app) fn most(&self, topic: &str) -> Option<usize> {
        self.policies.read().of(topic).filter(Policy::keeps).map(|policy| policy.messages + 1)
    }
}
