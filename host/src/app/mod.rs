//! An app: a module with its grants and limits, and the state that outlives any instance of it
//! (invariant 3): connections, topics and timers.

pub mod call;
mod cluster;
pub mod connection;
mod context;
mod figures;
mod imports;
mod message_ids;
mod observer;
mod publish;
pub(crate) mod recording;
mod send;
mod setup;
pub(crate) mod tails;
mod timers;
mod topics;
mod traffic;
pub mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
pub use context::HostContext;
pub use figures::AppFigures;
pub use observer::Observer;
pub use publish::{MAX_MESSAGE_ID, Publication, PublishError, PublishOptions};
pub use send::ConnectionError;
pub use setup::Setup;
pub use timers::{Existing, Owner, Schedule, TimerError, Timers};
pub use topics::{HistoryPage, HistoryReport, Keeping, Kept, Start, Subscription, TopicError, Topics};
pub(crate) use traffic::CountedAway;
pub use traffic::{Amount, Traffic, TrafficReport};

use cluster::AppCluster;
use connection::{Close, Connection, Connections};
use message_ids::MessageIds;
use recording::Recorder;
use tails::Tails;
use versions::{Version, Versions};

use crate::handshake_counts::HandshakeCounts;

/// Counts a connection that has ended.
pub(crate) struct Ending<'a>(&'a AtomicUsize);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A running app: a named entry of the config.
pub struct App {
    /// The name in the config.
    pub name: Arc<str>,
    /// The open connections.
    pub connections: Connections,
    /// The topics.
    pub topics: Topics,
    /// The cluster, if the host is in one.
    cluster: Option<AppCluster>,
    /// The ids of messages that were published lately.
    message_ids: MessageIds,
    /// The timers.
    pub timers: Timers,
    /// Counts messages and ends.
    pub traffic: Traffic,
    /// Counts handshakes.
    pub handshakes: HandshakeCounts,
    /// The versions of the module, and which version serves which connection.
    pub versions: Versions,
    /// The recording of the traffic, if there is one.
    pub recorder: Recorder,
    /// Who sees what is published, beside subscribers.
    pub(crate) tails: Tails,
    /// Allows one deploy at a time, because each deploy depends on the result of the previous one.
    pub(crate) deploying: tokio::sync::Mutex<()>,
    /// The context that all apps of the host share.
    pub context: HostContext,
    setup: ArcSwap<Setup>,
    /// Connections that have ended, and whose `closed` has not returned yet.
    ending: AtomicUsize,
    /// The app is no longer in the config.
    gone: AtomicBool,
}

impl App {
    /// An app that serves `version`, with a task that fires its timers.
    pub(crate) fn start(name: &str, setup: Arc<Setup>, version: Arc<Version>, context: HostContext) -> Arc<Self> {
        let mut app = Self::alone(name, setup, version, context);
        app.cluster = app.context.cluster.as_ref().map(|cluster| AppCluster::new(cluster, name));
        let app = Arc::new(app);
        if let Some(cluster) = &app.cluster {
            app.topics.join_cluster(Arc::downgrade(&app), Arc::clone(cluster.stream()));
        }
        app.timers.start(&app);
        Topics::start(&app);
        Topics::tell_presence(&app);
        app
    }

    /// An app with timers that never fire: enough for a self-test.
    pub(crate) fn without_timers(
        name: &str,
        setup: Arc<Setup>,
        version: Arc<Version>,
        context: HostContext,
    ) -> Arc<Self> {
        Arc::new(Self::alone(name, setup, version, context))
    }

    fn alone(name: &str, setup: Arc<Setup>, version: Arc<Version>, context: HostContext) -> Self {
        let app = Self {
            name: name.into(),
            connections: Connections::default(),
            topics: Topics::new(context.epoch(), &context.memory),
            cluster: None,
            message_ids: MessageIds::default(),
            timers: Timers::default(),
            traffic: Traffic::default(),
            handshakes: HandshakeCounts::default(),
            versions: Versions::new(version),
            recorder: Recorder::default(),
            tails: Tails::default(),
            deploying: tokio::sync::Mutex::default(),
            context,
            setup: ArcSwap::new(setup),
            ending: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
        };
        app.configure_topics(&app.setup());
        app
    }

    /// Wait until what was published is stored in the cluster, at most for so long.
    pub(crate) async fn flush_cluster(&self, most: Duration) {
        if let Some(cluster) = &self.cluster {
            cluster.flush(most).await;
        }
    }

    fn configure_topics(&self, setup: &Setup) {
        self.topics.configure(&setup.config.topics, setup.limits.history_bytes.bytes());
    }

    /// What the config currently says about the app.
    pub fn setup(&self) -> Arc<Setup> {
        self.setup.load_full()
    }

    /// Use another setup for the next calls.
    pub(crate) fn set_up(&self, setup: Arc<Setup>) {
        self.configure_topics(&setup);
        self.setup.swap(setup).pool.close();
    }

    /// The app is no longer in the config: accept no connections, and close the open ones.
    pub(crate) fn go(&self) {
        self.gone.store(true, Ordering::Release);
        self.recorder.cut_short();
        self.tails.end();
        self.close_all(&Close::app_gone());
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Close all connections after their queued messages have been written.
    pub fn close_all(&self, close: &Close) {
        for connection in self.connections.all() {
            connection.close(close.clone());
        }
    }

    /// A connection has ended, and the module does not know it yet. It counts until the result is dropped.
    pub(crate) fn one_more_ends(&self) -> Ending<'_> {
        self.ending.fetch_add(1, Ordering::Relaxed);
        Ending(&self.ending)
    }

    /// How many connections have ended without the module knowing it yet.
    pub(crate) fn ending(&self) -> usize {
        self.ending.load(Ordering::Relaxed)
    }

    /// Forget a connection: its topics, its timers, its version binding and its id.
    pub fn forget(&self, connection: &Connection) {
        connection.is_forgotten.store(true, Ordering::Relaxed);
        if let Some(traces) = self.context.traces().filter(|_| connection.is_traced()) {
            traces.forget(connection.id);
        }
        connection.outbox.shut();
        self.connections.remove(connection.id);
        self.topics.unsubscribe_all(connection);
        self.timers.cancel_all(connection.id);
        if let Some(version) = connection.binding.leave() {
            versions::left_by_a_connection(self, &version);
        }
    }
}
