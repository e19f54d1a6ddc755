//! The stream of an app: storing messages, reading them again, and listening for those that it passes on.

mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType, Stream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use parking_lot::Mutex as SyncMutex;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Cluster;
use super::bucket::bucket;
use super::epoch::{self, Epoch};
use super::error::ClusterError;
use super::message::{Arrived, Outgoing};
use super::names::token;

pub(crate) use read::ReadPage;

/// How long the stream remembers the ids of messages, as a host alone does.
const REMEMBERED: Duration = Duration::from_secs(300);

/// How long making a stream may take.
const MAKE: Duration = Duration::from_secs(10);

/// What a stream is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// How many messages of a topic it keeps: one more than clients may read, because a client that has the first one knows by
    /// that that it misses nothing.
    pub(crate) messages: usize,
    /// For how long.
    pub(crate) keep: Duration,
    /// Another number for other policies: what was not kept under those before is missing.
    pub(crate) policies: u64,
}

impl Shape {
    /// How long the stream keeps a message. Ids are forgotten with their messages.
    fn age(&self) -> Duration {
        self.keep.max(REMEMBERED)
    }
}

/// What became of a message that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    /// A message with its id was stored before.
    pub(crate) is_duplicate: bool,
}

/// The topics of an app in the cluster.
pub(crate) struct AppStream {
    cluster: Arc<Cluster>,
    app: String,
    name: String,
    shape: SyncMutex<Shape>,
    ready: Mutex<Option<Ready>>,
    /// Tells messages of this run that have no id of their own apart from others.
    run: u64,
    next: AtomicU64,
    /// The largest number of a message that has come: a stream that ends before it has lost messages.
    seen: AtomicU64,
    /// The connection to NATS for which that was compared: the stream may grow again before anybody looks.
    compared: AtomicU64,
    /// The epoch of the last message that has come, 0 before: another host may know of another one first.
    heard: AtomicU64,
}

/// A stream as it was made.
#[derive(Clone)]
struct Ready {
    stream: Arc<Stream<()>>,
    shape: Shape,
    epochs: Store,
    epoch: Epoch,
}

/// What comes for a topic.
pub(crate) struct Listening {
    messages: Subscriber,
    stream: Arc<AppStream>,
}

impl Listening {
    /// The next message. None if the host has left the cluster.
    pub(crate) async fn next(&mut self) -> Option<Arrived> {
        let message = self.messages.next().await?;
        let arrived = Arrived::passed_on(message.headers.as_ref(), &message.payload);
        if let Some(place) = arrived.place {
            self.stream.seen.fetch_max(place.sequence, Ordering::Relaxed);
            self.stream.heard.store(place.epoch.unwrap_or(0), Ordering::Relaxed);
        }
        Some(arrived)
    }
}

impl AppStream {
    pub(super) fn new(cluster: Arc<Cluster>, app: &str) -> Self {
        Self {
            name: cluster.names.stream(app),
            app: app.to_owned(),
            cluster,
            shape: SyncMutex::default(),
            ready: Mutex::default(),
            run: rand::random(),
            next: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            heard: AtomicU64::new(0),
        }
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Keep messages like this from now on.
    pub(crate) fn set_shape(&self, shape: Shape) {
        *self.shape.lock() = shape;
    }

    /// A name for a message without an id, with which it is tried again.
    pub(crate) fn name_of_next(&self) -> String {
        format!("~{:x}.{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A name for a message with an id.
    pub(crate) fn name_of(&self, topic: &str, id: &str) -> String {
        format!("{}.{}", token(topic), URL_SAFE_NO_PAD.encode(id))
    }

    /// Store a message, unless one of that name is stored.
    ///
    /// # Errors
    /// If it is not known to be stored. It may be.
    pub(crate) async fn store(&self, topic: &str, name: &str, message: &Outgoing) -> Result<Stored, ClusterError> {
        let ready = self.ready().await?;
        let connection = *self.cluster.connections.borrow();
        if self.compared.load(Ordering::Relaxed) != connection {
            self.extent(&ready).await?;
            self.compared.store(connection, Ordering::Relaxed);
        }
        let Ready { epoch, .. } = self.ready().await?;
        let publish = PublishMessage::build()
            .payload(message.payload())
            .headers(message.headers_in(epoch.number))
            .message_id(name);
        let subject = self.cluster.names.kept(&self.app, topic);
        let sent = async { self.cluster.jetstream.send_publish(subject, publish).await?.await };
        match sent.await {
            Ok(stored) => {
                self.seen.fetch_max(stored.sequence, Ordering::Relaxed);
                Ok(Stored { epoch: epoch.number, sequence: stored.sequence, is_duplicate: stored.duplicate })
            }
            Err(error) => Err(match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => ClusterError::TooLarge,
                PublishErrorKind::StreamNotFound => {
                    self.forget().await;
                    ClusterError::away(error)
                }
                _ => ClusterError::away(error),
            }),
        }
    }

    /// Send a message that nobody keeps to the hosts that listen to its topic, except this one.
    ///
    /// # Errors
    /// If it is not sent.
    pub(crate) async fn send(&self, topic: &str, message: &Outgoing) -> Result<(), ClusterError> {
        let subject = self.cluster.names.topic(&self.app, topic);
        let sent = self.cluster.client.publish_with_headers(subject, message.headers(), message.payload()).await;
        sent.map_err(ClusterError::away)
    }

    /// Listen for the messages of a topic: those that are kept, and those of other hosts that are not.
    ///
    /// # Errors
    /// If the host has left the cluster.
    pub(crate) async fn listen(self: &Arc<Self>, topic: &str) -> Result<Listening, ClusterError> {
        let subject = self.cluster.names.topic(&self.app, topic);
        let messages = self.cluster.client.subscribe(subject).await.map_err(ClusterError::away)?;
        Ok(Listening { messages, stream: Arc::clone(self) })
    }

    /// The stream, which is made if it is not there, or not as it should be.
    async fn ready(&self) -> Result<Ready, ClusterError> {
        let shape = *self.shape.lock();
        let mut ready = self.ready.lock().await;
        if let Some(ready) = ready.as_ref().filter(|ready| ready.shape == shape) {
            return Ok(ready.clone());
        }
        let made = timeout(MAKE, self.make(shape)).await.map_err(ClusterError::away)?;
        let next = made.inspect_err(|error| {
            tracing::warn!(app = self.app, %error, "the app's stream cannot be used");
        })?;
        *ready = Some(next.clone());
        Ok(next)
    }

    async fn make(&self, shape: Shape) -> Result<Ready, ClusterError> {
        let jetstream = &self.cluster.jetstream;
        let made = jetstream.create_or_update_stream(self.config(shape)).await;
        let keep = |reason: String| ClusterError::Keep { name: self.name.clone(), reason };
        let info = made.map_err(|error| keep(error.to_string()))?;
        let stream = jetstream.get_stream_no_info(&self.name).await.map_err(ClusterError::away)?;
        let replicas = self.cluster.config.replicas;
        let epochs = bucket(jetstream, &self.cluster.names.epochs(), Duration::ZERO, replicas).await?;
        let created = info.created.unix_timestamp_nanos();
        let epoch = epoch::agree(&epochs, &token(&self.app), created, None).await?;
        let epoch = match epoch.policies == shape.policies {
            true => epoch,
            false => {
                epoch::other_policies(&epochs, &token(&self.app), epoch, shape.policies, info.state.last_sequence)
                    .await?
            }
        };
        // A JetStream that does not answer direct reads would let them wait.
        if !info.config.allow_direct || info.config.republish.is_none() {
            return Err(keep("the server is older than 2.9".to_owned()));
        }
        Ok(Ready { stream: Arc::new(stream), shape, epochs, epoch })
    }

    /// Make the stream again before it is used.
    async fn forget(&self) {
        *self.ready.lock().await = None;
    }

    fn config(&self, shape: Shape) -> Config {
        let names = &self.cluster.names;
        Config {
            name: self.name.clone(),
            subjects: vec![names.all_kept(&self.app)],
            max_messages_per_subject: i64::try_from(shape.messages).unwrap_or(i64::MAX),
            max_bytes: i64::try_from(self.cluster.config.stream_bytes.bytes()).unwrap_or(i64::MAX),
            max_age: shape.age(),
            duplicate_window: REMEMBERED,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: self.cluster.config.replicas,
            allow_direct: true,
            republish: Some(Republish {
                source: names.all_kept(&self.app),
                destination: names.passed_on(&self.app),
                headers_only: false,
            }),
            ..Config::default()
        }
    }
}
