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
        for (name, database) in databases.iter().filter(|(name, _)| is_relayed(config, name)) {
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

/// Whether a database has a relay of its own. Of several names of one database, the first one with an outbox has it.
fn is_relayed(config: &Config, name: &str) -> bool {
    let has_outbox = |name: &str| config.databases.get(name).is_some_and(|database| database.outbox.is_some());
    let first = names_of_the_same(config, name).into_iter().find(|same| has_outbox(same));
    first == Some(name)
}

/// The apps that may write to a database, by any of its names.
fn audience(config: &Config, database: &str, apps: &BTreeMap<String, Arc<App>>) -> Audience {
    let names = names_of_the_same(config, database);
    let may_write = |app: &str| {
        let grants = config.apps.get(app).map(|app| &app.databases);
        grants.is_some_and(|grants| names.iter().any(|name| grants.get(*name) == Some(&Grant::ReadWrite)))
    };
    let those = apps.iter().filter(|(name, _)| may_write(name));
    Arc::new(those.map(|(name, app)| (name.clone(), Arc::clone(app))).collect())
}

/// The names of all databases of the config with the same URL. Those in memory are several.
fn names_of_the_same<'a>(config: &'a Config, name: &str) -> Vec<&'a str> {
    let Some((name, database)) = config.databases.get_key_value(name) else { return Vec::new() };
    if database.is_in_memory() {
        return vec![name];
    }
    let same = config.databases.iter().filter(|(_, other)| other.url == database.url);
    same.map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn of_several_names_of_a_database_one_has_a_relay() {
        let database = |name: &str, url: &str, more: &str| format!("[databases.{name}]\nurl = \"{url}\"\n{more}\n");
        let (shop, memory) = ("mysql://root@127.0.0.1/shop", "sqlite::memory:");
        let text = [
            database("a", shop, ""),
            database("b", shop, "outbox = {}"),
            database("c", shop, "outbox = {}"),
            database("d", "sqlite://shop.db", "outbox = {}"),
            database("e", memory, "outbox = {}"),
            database("f", memory, "outbox = {}"),
            "[apps.chat]\npath = \"/chat\"\nmodule = \"m.wasm\"\n".to_owned(),
        ];
        let config = Config::parse(Path::new("hassock.toml"), &text.concat());
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let relayed: Vec<&str> =
            config.databases.keys().map(String::as_str).filter(|name| is_relayed(&config, name)).collect();
        assert_eq!(relayed, ["b", "d", "e", "f"]);
        assert_eq!(names_of_the_same(&config, "c"), ["a", "b", "c"]);
    }
}
