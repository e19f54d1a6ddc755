//! Publishing a message to the subscribers of a topic: for a module, or for another program.

use std::sync::Arc;

use hassock_frames::{Deflate, Encoded, Payload};

use super::connection::Connection;
use super::topics::{Headers, Keeping};
use super::{Amount, App, Setup};
use crate::client_protocol::Position;
use crate::memory_budget::{MemoryBudget, OutOfMemory, Use};

/// How a message is published.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishOptions<'a> {
    /// The connection that does not get it, usually that of the sender.
    pub except: Option<u64>,
    /// Names the message within its topic, at most [`MAX_MESSAGE_ID`] bytes: it is published once, even if it is sent again
    /// within five minutes.
    pub id: Option<&'a str>,
    /// Whether a topic with a history keeps it.
    pub keeping: Keeping,
}

/// The maximum length of the id of a message, in bytes.
pub const MAX_MESSAGE_ID: usize = 128;

/// What became of a message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// For how many subscribers it was queued.
    pub reached: u32,
    /// Its position, if the topic keeps it.
    pub position: Option<Position>,
    /// A message of the same id was published before, and this is what became of that.
    pub is_duplicate: bool,
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It is larger than an outbox.
    #[error("the message is larger than `outbox_bytes`")]
    TooLarge,
    /// The id is too long.
    #[error("the id of a message has 1 to 128 bytes")]
    InvalidId,
    /// NATS is away, or too much waits for it. The message may be published later nevertheless.
    #[error("the cluster cannot be reached now, or too many messages wait for it")]
    Unavailable,
    /// The host has no memory for it.
    #[error("{0}")]
    OutOfMemory(#[from] OutOfMemory),
}

impl App {
    /// Publish a message that does not come from a call of the module. In a cluster this waits until it is stored, if its topic
    /// has a history.
    ///
    /// # Errors
    /// If the message is too large, or the id is not valid, or the cluster does not answer.
    pub async fn publish(
        &self,
        topic: &str,
        message: Payload<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Publication, PublishError> {
        if let Some(cluster) = self.cluster_that_keeps(topic, options) {
            let message = self.to_be_stored(&self.setup(), message, options)?;
            return self.publish_stored(cluster, topic, &message, options).await;
        }
        let mut dirty = Vec::new();
        let published = self.publish_from_call(&self.setup(), topic, message, options, &mut dirty);
        dirty.iter().for_each(|connection| connection.wake());
        published
    }

    /// Publish a message, and add each connection that it reached to `dirty`, which the caller wakes.
    ///
    /// # Errors
    /// If the message is too large, or the id is not valid.
    pub(crate) fn publish_from_call(
        &self,
        setup: &Setup,
        topic: &str,
        message: Payload<'_>,
        options: PublishOptions<'_>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> Result<Publication, PublishError> {
        if let Some(cluster) = self.cluster_that_keeps(topic, options) {
            let message = self.to_be_stored(setup, message, options)?;
            return self.publish_later(cluster, topic, &message, options);
        }
        check(setup, message, options)?;
        let Some(id) = options.id else { return self.publish_now(topic, message, options, dirty) };
        let publish = || self.publish_now(topic, message, options, dirty);
        self.message_ids.publish_once(topic, id, setup.limits.message_ids, publish)
    }

    /// A message that waits for the cluster, which counts for the memory budget.
    fn to_be_stored(
        &self,
        setup: &Setup,
        message: Payload<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Encoded, PublishError> {
        check(setup, message, options)?;
        let message = Encoded::messages(std::iter::once(message));
        Ok(message.kept(|bytes| self.context.memory.keep(Use::Outbox, bytes))?)
    }

    fn publish_now(
        &self,
        topic: &str,
        message: Payload<'_>,
        options: PublishOptions<'_>,
        dirty: &mut Vec<Arc<Connection>>,
    ) -> Result<Publication, PublishError> {
        let memory = &self.context.memory;
        let message = Encoded::messages(std::iter::once(message));
        let message = message.kept(|bytes| memory.keep(Use::Outbox, bytes))?;
        self.share(topic, &message, options)?;
        let compress = |message: &Encoded, how| compressed(message, how, memory);
        let PublishOptions { id, except, keeping } = options;
        let headers = Headers { topic, id, except, keeping, place: None };
        let (reached, position) = self.topics.publish(&message, &headers, compress, dirty);
        self.traffic.sent(Amount::of(&message), reached);
        self.tails.published(topic, &message, reached, position);
        Ok(Publication { reached, position, is_duplicate: false })
    }
}

/// Whether a message may be published.
fn check(setup: &Setup, message: Payload<'_>, options: PublishOptions<'_>) -> Result<(), PublishError> {
    if message.as_bytes().len() > setup.limits.outbox_bytes.bytes() {
        return Err(PublishError::TooLarge);
    }
    match options.id {
        Some(id) if id.is_empty() || id.len() > MAX_MESSAGE_ID => Err(PublishError::InvalidId),
        _ => Ok(()),
    }
}

/// The compressed form of a message. Both forms are in memory. Returns the message itself if there is no memory for both, or
/// if compression does not make it shorter.
pub(super) fn compressed(message: &Encoded, how: Deflate, memory: &Arc<MemoryBudget>) -> Encoded {
    let compressed = message.clone().deflated(how);
    match compressed.is_compressed() {
        true => compressed.kept(|bytes| memory.keep(Use::Outbox, bytes)).unwrap_or_else(|_| message.clone()),
        false => compressed,
    }
}
