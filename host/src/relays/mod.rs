//! Relays: each publishes the rows that programs have committed into the outbox of a database, to the apps that may write there.
//!
//! There is one task for each database with an outbox. `relay` is its life, `batch` is what it does with rows, `pace` is how fast, and
//! `published` are those that it has not removed yet.

mod batch;
mod pace;
mod published;
mod relay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::{Config, Grant};
use crate::database::Database;
use relay::Relay;

/// How long a host that stops waits for its relays. One that waits for a database that does not respond has published rows
/// without removing them, which are published again by the next relay.
const STOP: Duration = Duration::from_secs(2);

/// The apps that get the rows of a database, by name.
type Audience = Arc<BTreeMap<String, Arc<App>>>;

/// The relays of a host.
pub(crate) struct Relays {
    /// When the host has started.
    started: Instant,
    running: Mutex<BTreeMap<String, Running>>,
}

/// A relay that runs. It ends after its batch when this is dropped.
struct Running {
    database: Arc<Database>,
    audience: watch::Sender<Audience>,
    stop: StopOnDrop,
    task: JoinHandle<()>,
}

struct StopOnDrop(CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Relays {
    /// No relays of a host that starts now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), running: Mutex::default() }
    }

    /// Have one relay for each outbox of a config that is in effect now.
    pub(crate) fn apply(
        &self,
        config: &Config,
        databases: &BTreeMap<String, Arc<Database>>,
        apps: &BTreeMap<String, Arc<App>>,
    ) {
        let mut running = self.running.lock();
        let mut before = std::mem::take(&mut *running);
        for (name, database) in databases.iter().filter(|(_, database)| database.outbox().is_some()) {
            let audience = audience(config, name, apps);
            let relay = match before.remove(name) {
                Some(relay) if Arc::ptr_eq(&relay.database, database) => {
                    relay.audience.send_replace(audience);
                    relay
                }
                other => Running::start(database, audience, self.started, other),
            };
            running.insert(name.clone(), relay);
        }
    }

    /// Stop all relays. What they have published is removed, and the rest waits for the next start.
    pub(crate) async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock());
        let all: Vec<_> = running.into_values().map(Running::stop).collect();
        for task in all {
            if timeout(STOP, task).await.is_err() {
                tracing::warn!(
                    "a database did not respond; some of its messages may be published again by the next relay"
                );
            }
        }
    }
}

impl Running {
    /// Start a relay, when the one before it has ended.
    fn start(database: &Arc<Database>, audience: Audience, started: Instant, before: Option<Running>) -> Self {
        let (audience, received) = watch::channel(audience);
        let stop = CancellationToken::new();
        let relay = Relay::new(database, received, stop.clone());
        let before = before.map(Running::stop);
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                // It cannot fail: tasks that panic end, too.
                let _ = before.await;
            }
            if let Some(relay) = relay {
                relay.run(started).await;
            }
        });
        Self { database: Arc::clone(database), audience, stop: StopOnDrop(stop), task }
    }

    /// Have it stop, and return what waits for that.
    fn stop(self) -> JoinHandle<()> {
        let Self { stop, task, .. } = self;
        drop(stop);
        task
    }
}

/// The apps that may write to a database.
fn audience(config: &Config, database: &str, apps: &BTreeMap<String, Arc<App>>) -> Audience {
    let may_write = |name: &str| {
        let grants = config.apps.get(name).map(|app| &app.databases);
        grants.and_then(|grants| grants.get(database)) == Some(&Grant::ReadWrite)
    };
    let those = apps.iter().filter(|(name, _)| may_write(name));
    Arc::new(those.map(|(name, app)| (name.clone(), Arc::clone(app))).collect())
}
