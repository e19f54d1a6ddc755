//! The app in its cluster: what is published goes to all hosts, and what comes from them is delivered here.

mod outgoing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hassock_frames::{Deflate, Encoded};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::publish::{Publication, PublishError, PublishOptions, compressed};
use super::topics::{Delivered, HistoryPage, Keeping, TakenIn};
use super::{Amount, App};
use crate::client_protocol::Position;
use crate::cluster::{AppStream, Arrived, Cluster, Outgoing, ReadPage};
use outgoing::Queues;

/// How many messages without a history may wait to be sent. More reach only this host: nobody keeps them, and nobody waits.
const UNSENT: usize = 16_384;

/// How often a host that stops looks whether they are sent.
const LOOK: Duration = Duration::from_millis(5);

/// How long another program waits for a message to be stored, before it is told that it may not be.
const PATIENCE: Duration = Duration::from_secs(5);

/// The app in its cluster.
pub(super) struct AppCluster {
    stream: Arc<AppStream>,
    queues: Arc<Queues>,
    unkept: mpsc::Sender<(Arc<str>, Outgoing)>,
    /// How many of these were sent, or lost.
    sent: Arc<AtomicUsize>,
    to_send: AtomicUsize,
}

impl AppCluster {
    pub(super) fn new(cluster: &Arc<Cluster>, app: &str) -> Self {
        let stream = cluster.app(app);
        let (unkept, mut to_send) = mpsc::channel::<(Arc<str>, Outgoing)>(UNSENT);
        let sending = Arc::clone(&stream);
        let sent = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Some((topic, message)) = to_send.recv().await {
                // What nobody keeps is lost while NATS is away, as the book says.
                let _ = sending.send(&topic, &message).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
        let queues = Arc::new(Queues::new(Arc::clone(&stream), app));
        Self { stream, queues, unkept, sent, to_send: AtomicUsize::new(0) }
    }

    /// Where the messages of other hosts come from.
    pub(super) fn stream(&self) -> &Arc<AppStream> {
        &self.stream
    }

    /// Wait until what was published is stored or sent, at most for so long.
    pub(super) async fn flush(&self, most: Duration) {
        let _ = timeout(most, async {
            self.queues.are_empty().await;
            while self.sent.load(Ordering::Relaxed) < self.to_send.load(Ordering::Relaxed) {
                sleep(LOOK).await;
            }
        })
        .await;
    }

    /// Send a message that nobody keeps to the other hosts.
    ///
    /// # Errors
    /// If NATS is away, and the host should not go on by itself.
    fn send(&self, topic: &str, message: &Encoded, options: PublishOptions<'_>) -> Result<(), PublishError> {
        let cluster = self.stream.cluster();
        match cluster.is_connected() {
            true => {
                // Without room, the other hosts do not get the message.
                let is_sent = self.unkept.try_send((topic.into(), outgoing(message, options))).is_ok();
                self.to_send.fetch_add(usize::from(is_sent), Ordering::Relaxed);
                if is_sent || cluster.config().alone_without_nats { Ok(()) } else { Err(PublishError::Unavailable) }
            }
            false if cluster.config().alone_without_nats => Ok(()),
            false => Err(PublishError::Unavailable),
        }
    }
}

fn outgoing(message: &Encoded, options: PublishOptions<'_>) -> Outgoing {
    Outgoing { message: message.clone(), id: options.id.map(str::to_owned), except: options.except }
}

impl App {
    /// Whether the cluster, if there is one, keeps a message that is published with these options.
    pub(super) fn cluster_that_keeps(&self, topic: &str, options: PublishOptions<'_>) -> Option<&AppCluster> {
        let keeps = options.keeping == Keeping::Keep && self.topics.keeps(topic);
        self.cluster.as_ref().filter(|_| keeps)
    }

    /// Have a message stored, without waiting for it. Its subscribers here get it when it is passed on.
    pub(super) fn publish_later(
        &self,
        cluster: &AppCluster,
        topic: &str,
        message: &Encoded,
        options: PublishOptions<'_>,
    ) -> Result<Publication, PublishError> {
        cluster.queues.push(topic, outgoing(message, options), None)?;
        Ok(Publication { reached: self.subscribers_here(topic), position: None, is_duplicate: false })
    }

    /// The same, waiting until it is stored.
    pub(super) async fn publish_stored(
        &self,
        cluster: &AppCluster,
        topic: &str,
        message: &Encoded,
        options: PublishOptions<'_>,
    ) -> Result<Publication, PublishError> {
        let (done, stored) = oneshot::channel();
        cluster.queues.push(topic, outgoing(message, options), Some(done))?;
        let reached = self.subscribers_here(topic);
        let stored = timeout(PATIENCE, stored).await.map_err(|_| PublishError::Unavailable)?;
        let stored = stored.map_err(|_| PublishError::Unavailable)??;
        let position = Position { epoch: stored.epoch, offset: stored.sequence };
        Ok(Publication { reached, position: Some(position), is_duplicate: stored.is_duplicate })
    }

    fn subscribers_here(&self, topic: &str) -> u32 {
        u32::try_from(self.topics.member_count(topic)).unwrap_or(u32::MAX)
    }

    /// Let the other hosts deliver a message that nobody keeps.
    ///
    /// # Errors
    /// If NATS is away, and the host should not go on by itself.
    pub(super) fn share(
        &self,
        topic: &str,
        message: &Encoded,
        options: PublishOptions<'_>,
    ) -> Result<(), PublishError> {
        self.cluster.as_ref().map_or(Ok(()), |cluster| cluster.send(topic, message, options))
    }

    /// Deliver a message that has come for a topic.
    pub(super) fn take_in(&self, topic: &Arc<str>, arrived: &Arrived) -> TakenIn {
        let mut dirty = Vec::new();
        let (taken, reached, position) =
            self.topics.take_in(topic, arrived, |message, how| self.compressed(message, how), &mut dirty);
        if taken == TakenIn::Yes {
            self.note_delivered(topic, arrived, reached, position);
        }
        dirty.iter().for_each(|connection| connection.wake());
        taken
    }

    /// Take in what was read of a topic `after` a number. False if it has to be read once more.
    pub(super) fn fill(&self, topic: &Arc<str>, after: u64, page: ReadPage) -> bool {
        let mut dirty = Vec::new();
        let delivered = self.topics.fill(topic, after, page, |message, how| self.compressed(message, how), &mut dirty);
        for Delivered { arrived, reached, position } in delivered.iter().flatten() {
            self.note_delivered(topic, arrived, *reached, *position);
        }
        dirty.iter().for_each(|connection| connection.wake());
        delivered.is_some()
    }

    fn note_delivered(&self, topic: &str, arrived: &Arrived, reached: u32, position: Option<Position>) {
        self.traffic.sent(Amount::of(&arrived.message), reached);
        self.tails.published(topic, &arrived.message, reached, position);
    }

    fn compressed(&self, message: &Encoded, how: Deflate) -> Encoded {
        compressed(message, how, &self.context.memory)
    }

    /// The messages of a topic after a position or, without one, the last ones: at most `limit`. None if the topic keeps none.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub(crate) async fn history(
        &self,
        topic: &str,
        since: Option<Position>,
        limit: usize,
    ) -> Result<Option<HistoryPage>, PublishError> {
        let Some(cluster) = &self.cluster else { return Ok(self.topics.history(topic, since, limit)) };
        let Some(most) = self.topics.most(topic) else { return Ok(None) };
        let read = timeout(PATIENCE, cluster.stream.read(topic, 0, most)).await;
        let page = read.ok().and_then(Result::ok).ok_or(PublishError::Unavailable)?;
        Ok(self.topics.history_of(topic, page, since, limit))
    }
}
