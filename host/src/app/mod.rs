//! An app: a module with its grants and limits, and the state that outlives any instance of it
//! (invariant 3): connections, topics and timers.

pub mod call;
pub mod connection;
mod context;
mod imports;
pub(crate) mod recording;
mod setup;
mod timers;
mod topics;
pub mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
pub use context::HostContext;
pub use setup::Setup;
pub use timers::{Owner, TimerError, Timers};
pub use topics::{TopicError, Topics};

use connection::{Close, Connection, Connections};
use recording::Recorder;
use versions::{Version, Versions};

/// A named entry of the config, running.
pub struct App {
    /// Its name in the config.
    pub name: Arc<str>,
    /// Its open connections.
    pub connections: Connections,
    /// Its topics.
    pub topics: Topics,
    /// Its timers.
    pub timers: Timers,
    /// The versions of its module, and which connection gets which.
    pub versions: Versions,
    /// Where its traffic is recorded, if it is.
    pub recorder: Recorder,
    /// One deploy at a time: each decides by what the one before has left.
    pub(crate) deploying: tokio::sync::Mutex<()>,
    /// What it shares with all of the host.
    pub context: HostContext,
    setup: ArcSwap<Setup>,
    /// The config has it no more.
    gone: AtomicBool,
}

impl App {
    /// An app that serves `version`.
    pub fn new(name: &str, setup: Arc<Setup>, version: Arc<Version>, context: HostContext) -> Arc<Self> {
        let app = Arc::new(Self {
            name: name.into(),
            connections: Connections::default(),
            topics: Topics::default(),
            timers: Timers::default(),
            versions: Versions::new(version),
            recorder: Recorder::default(),
            deploying: tokio::sync::Mutex::default(),
            context,
            setup: ArcSwap::new(setup),
            gone: AtomicBool::new(false),
        });
        app.timers.start(&app);
        app
    }

    /// What the config says about it now.
    pub fn setup(&self) -> Arc<Setup> {
        self.setup.load_full()
    }

    /// Have the next calls use another setup.
    pub(crate) fn set_up(&self, setup: Arc<Setup>) {
        self.setup.swap(setup).pool.close();
    }

    /// The config has it no more: take no connections, and close those that are open.
    pub(crate) fn go(&self) {
        self.gone.store(true, Ordering::Release);
        self.recorder.cut_short();
        self.close_all(&Close::app_gone());
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Close all connections once what is queued for them was written.
    pub fn close_all(&self, close: &Close) {
        for connection in self.connections.all() {
            // An error means that it is closing already.
            if connection.outbox.close(close.clone()).is_ok() {
                connection.wake();
            }
        }
    }

    /// Forget a connection: its topics, its timers, its version, its id.
    pub fn forget(&self, connection: &Connection) {
        connection.outbox.shut();
        self.connections.remove(connection.id);
        self.topics.unsubscribe_all(connection);
        self.timers.cancel_all(connection.id);
        if let Some(version) = connection.binding.leave() {
            versions::left_by_a_connection(self, &version);
        }
    }
}
