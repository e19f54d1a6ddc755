//! Reading the messages of a topic from the stream.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{AppStream, Ready};
use crate::cluster::epoch::{self, Epoch};
use crate::cluster::error::ClusterError;
use crate::cluster::message::Arrived;
use crate::cluster::names::token;

/// How long a server may take for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How many messages are asked for at once: all of them have to fit into the subscription.
const BATCH: usize = 500;

/// Bytes of them.
const BATCH_BYTES: usize = 4 << 20;

/// How often a server that is behind the others is asked again.
const TRIES: usize = 50;

/// How long it gets to catch up.
const CATCH_UP: Duration = Duration::from_millis(20);

/// The statuses of answers that are not messages.
const END: u16 = 204;
const NOT_FOUND: u16 = 404;
const NO_RESPONDERS: u16 = 503;

/// What was read of a topic.
#[derive(Debug, Clone)]
pub(crate) struct ReadPage {
    /// The epoch of the stream.
    pub(crate) epoch: u64,
    /// The messages, oldest first, each with its place.
    pub(crate) messages: Vec<Arrived>,
    /// Everything of the topic up to this number is among them, or is gone.
    pub(crate) through: u64,
    /// The first message of the stream: nothing behind it has been removed because of its age or of the size of the stream.
    pub(crate) first: u64,
    /// Up to this number the stream does not say what there was: the policies were others.
    pub(crate) changed: u64,
    /// Messages of the topic may have been removed because there are too many of them.
    pub(crate) is_full: bool,
    /// Messages may have been removed because the stream is too large.
    pub(crate) is_crowded: bool,
    /// How long the stream keeps messages.
    pub(crate) keep: Duration,
}

/// A request for several messages, of NATS 2.11 and later.
#[derive(Serialize)]
struct BatchRequest<'a> {
    seq: u64,
    next_by_subj: &'a str,
    batch: usize,
    max_bytes: usize,
}

impl AppStream {
    /// The messages of a topic behind a number, the last ones, so many at most.
    ///
    /// # Errors
    /// If NATS does not answer.
    pub(crate) async fn read(&self, topic: &str, after: u64, most: usize) -> Result<ReadPage, ClusterError> {
        let ready = self.ready().await?;
        let before = self.extent(&ready).await?;
        let subject = self.cluster.names.kept(&self.app, topic);
        let (count, messages) = self.read_current(&ready, &subject, after, most).await?;
        let now = self.extent(&ready).await?;
        if before.epoch != now.epoch {
            return Err(ClusterError::away("the stream has begun anew while it was read"));
        }
        let last = last_number(&messages).unwrap_or(0);
        self.seen.fetch_max(last, Ordering::Relaxed);
        Ok(ReadPage {
            epoch: now.epoch,
            through: last.max(before.last),
            first: now.first,
            changed: now.changed,
            is_full: count >= ready.shape.messages,
            is_crowded: now.bytes > self.cluster.config.stream_bytes.bytes() as u64 / 4 * 3,
            keep: ready.shape.age(),
            messages,
        })
    }

    /// Any server of the stream may answer, also one that has not got the last messages yet.
    async fn read_current(
        &self,
        ready: &Ready,
        subject: &str,
        after: u64,
        most: usize,
    ) -> Result<(usize, Vec<Arrived>), ClusterError> {
        let wanted = match self.cluster.config.replicas {
            1 => 0,
            _ => last_of(ready, subject).await?,
        };
        for _ in 0..TRIES {
            // Batches of older servers end after the first message.
            let (count, messages) = match self.cluster.client.is_server_compatible(2, 11, 0) {
                true => self.read_batches(subject, after, most).await?,
                false => self.read_each(ready, subject, after + 1, most).await?,
            };
            if last_number(&messages).unwrap_or(after) >= wanted {
                return Ok((count, messages));
            }
            sleep(CATCH_UP).await;
        }
        Err(ClusterError::away("a server of the stream is far behind"))
    }

    /// The stream may keep more messages of a topic than are wanted, because it keeps as many of another one.
    /// Returns also how many there were.
    async fn read_batches(
        &self,
        subject: &str,
        after: u64,
        most: usize,
    ) -> Result<(usize, Vec<Arrived>), ClusterError> {
        let (mut all, mut count, mut after) = (Vec::new(), 0, after);
        loop {
            let batch = self.read_batch(subject, after + 1).await?;
            // One with fewer messages may be one with many bytes.
            let is_last = batch.is_empty();
            count += batch.len();
            after = last_number(&batch).unwrap_or(after);
            all.extend(batch);
            all.drain(..all.len().saturating_sub(most));
            if is_last {
                return Ok((count, all));
            }
        }
    }

    async fn read_batch(&self, subject: &str, from: u64) -> Result<Vec<Arrived>, ClusterError> {
        let client = &self.cluster.client;
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(ClusterError::away)?;
        let request = BatchRequest { seq: from, next_by_subj: subject, batch: BATCH, max_bytes: BATCH_BYTES };
        let request = serde_json::to_vec(&request).map_err(ClusterError::away)?;
        let address = format!("$JS.API.DIRECT.GET.{}", self.name);
        client.publish_with_reply(address, inbox, request.into()).await.map_err(ClusterError::away)?;
        let mut messages = Vec::new();
        loop {
            let answer = timeout(ANSWER, answers.next()).await.map_err(ClusterError::away)?;
            let answer = answer.ok_or_else(|| ClusterError::away("the connection is closed"))?;
            match answer.status.map(|status| status.as_u16()) {
                // A message.
                None => messages.extend(answer.headers.as_ref().and_then(|headers| read(headers, &answer.payload))),
                // There is none, or none any more.
                Some(END | NOT_FOUND) => return Ok(messages),
                Some(NO_RESPONDERS) => {
                    self.forget().await;
                    return Err(ClusterError::away("no server has the stream now"));
                }
                Some(status) => {
                    return Err(ClusterError::away(format!("{status} {}", answer.description.unwrap_or_default())));
                }
            }
        }
    }

    async fn read_each(
        &self,
        ready: &Ready,
        subject: &str,
        from: u64,
        most: usize,
    ) -> Result<(usize, Vec<Arrived>), ClusterError> {
        let (mut messages, mut count, mut next) = (Vec::new(), 0, from);
        loop {
            let found = ready.stream.direct_get_next_for_subject(subject, Some(next)).await;
            let message = match found {
                Ok(message) => message,
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => break,
                Err(error) => return Err(ClusterError::away(error)),
            };
            count += 1;
            next = message.sequence + 1;
            let age = age(message.time.unix_timestamp_nanos());
            messages.push(Arrived::read(&message.headers, &message.payload, message.sequence, age));
            messages.drain(..messages.len().saturating_sub(most));
        }
        Ok((count, messages))
    }

    /// From where to where the stream has messages, in its epoch, which is a new one if messages were lost.
    pub(super) async fn extent(&self, ready: &Ready) -> Result<Extent, ClusterError> {
        // Before the question: a message that is stored meanwhile is not lost.
        let seen = self.seen.load(Ordering::Relaxed);
        let info = match ready.stream.get_info().await {
            Ok(info) => info,
            Err(error) => {
                if is_gone(&error) {
                    self.forget().await;
                }
                return Err(ClusterError::away(error));
            }
        };
        let (first, last) = (info.state.first_sequence, info.state.last_sequence);
        let created = info.created.unix_timestamp_nanos();
        let mut epoch = ready.epoch;
        if created != epoch.created || last < seen {
            epoch = self.begin_anew(ready, created, Some(epoch)).await?;
        } else if ![0, epoch.number].contains(&self.heard.swap(0, Ordering::Relaxed)) {
            // Another host may know better.
            epoch = self.begin_anew(ready, created, None).await?;
        }
        Ok(Extent { epoch: epoch.number, changed: epoch.changed, first, last, bytes: info.state.bytes })
    }

    /// Agree with the other hosts on the epoch, after one that is `lost`.
    async fn begin_anew(&self, ready: &Ready, created: i128, lost: Option<Epoch>) -> Result<Epoch, ClusterError> {
        let epoch = epoch::agree(&ready.epochs, &token(&self.app), created, lost).await?;
        if epoch.number == ready.epoch.number {
            return Ok(epoch);
        }
        tracing::warn!(app = self.app, "NATS has lost messages of the app's histories, so positions begin anew");
        self.seen.store(0, Ordering::Relaxed);
        if let Some(ready) = self.ready.lock().await.as_mut() {
            ready.epoch = epoch;
        }
        Ok(epoch)
    }
}

/// The number of the last one of these.
fn last_number(messages: &[Arrived]) -> Option<u64> {
    messages.last()?.place.map(|place| place.sequence)
}

/// The number of the last message of a topic, as the leader of the stream knows it.
async fn last_of(ready: &Ready, subject: &str) -> Result<u64, ClusterError> {
    match ready.stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(ClusterError::away(error)),
    }
}

/// What a stream has.
pub(super) struct Extent {
    epoch: u64,
    changed: u64,
    first: u64,
    last: u64,
    bytes: u64,
}

/// Whether the stream may be gone: the answer of the server is not about it.
fn is_gone(error: &RequestError) -> bool {
    error.kind() == RequestErrorKind::Other
}

/// A message of a batch, whose headers say where it is.
fn read(headers: &HeaderMap, payload: &Bytes) -> Option<Arrived> {
    let header = |name: &str| headers.get(name).map(|value| value.as_str());
    let sequence = header("Nats-Sequence")?.parse().ok()?;
    let time = header("Nats-Time-Stamp").and_then(|time| humantime::parse_rfc3339(time).ok());
    let age = time.and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default();
    Some(Arrived::read(headers, payload, sequence, age))
}

/// How old something of that time is, in nanoseconds since 1970. The clock of the server may be a little ahead.
fn age(nanoseconds: i128) -> Duration {
    let stored = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(stored)
}
