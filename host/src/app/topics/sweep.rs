//! The sweep: messages that are too old go, and topics without subscribers whose history is empty.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::topic::Topic;
use super::{Topics, presence};
use crate::app::App;
use crate::client_protocol::Gap;

/// How often. Messages that are too old are not found between two sweeps either: this only frees their memory.
const EVERY: Duration = Duration::from_secs(1);

/// The least time between two sweeps, each of which looks at all topics.
const LEAST: Duration = Duration::from_millis(100);

/// How often a task that has nothing to do looks whether its app is still there.
const LOOK: Duration = Duration::from_secs(60);

/// The names of topics whose clients have to be told who has come or left.
#[derive(Debug, Default)]
pub(super) struct Changed {
    names: Mutex<BTreeSet<Arc<str>>>,
    is_some: Notify,
}

impl Changed {
    /// Note a topic, if it has changes.
    pub(super) fn note(&self, name: &str, topic: &Topic) {
        if topic.has_changes() && self.names.lock().insert(name.into()) {
            self.is_some.notify_one();
        }
    }

    pub(super) fn take(&self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut *self.names.lock())
    }
}

impl Topics {
    /// Tell the clients of topics with presence who comes and leaves, for as long as the app runs.
    pub(crate) fn tell_presence(app: &Arc<App>) {
        let changed = Arc::clone(&app.topics.changed);
        let app = Arc::downgrade(app);
        tokio::spawn(async move {
            loop {
                let is_some = timeout(LOOK, changed.is_some.notified()).await.is_ok();
                if is_some {
                    sleep(presence::EVERY).await;
                }
                let Some(app) = app.upgrade() else { return };
                app.topics.tell_changes();
            }
        });
    }

    /// Sweep for as long as the app runs. Without any messages in histories, this waits for the first one.
    pub(crate) fn start(app: &Arc<App>) {
        let ledger = Arc::clone(&app.topics.ledger);
        let app: Weak<App> = Arc::downgrade(app);
        tokio::spawn(async move {
            loop {
                let wait = if ledger.bytes() == 0 { LOOK } else { EVERY };
                let _ = timeout(wait, ledger.to_sweep.notified()).await;
                // However much is published meanwhile, others have a turn.
                sleep(LEAST).await;
                let Some(app) = app.upgrade() else { return };
                app.topics.sweep(Instant::now());
            }
        });
    }

    /// Forget what is too old and, if the histories together are almost as large as they may be, what is oldest.
    pub(super) fn sweep(&self, now: Instant) {
        let mut idle = Vec::new();
        for (name, topic) in self.by_name.read().iter() {
            let mut topic = topic.lock();
            if let Some(history) = &mut topic.history {
                history.expire(now);
            }
            if topic.is_idle() {
                idle.push(Arc::clone(name));
            }
        }
        self.even_out();
        if idle.is_empty() {
            return;
        }
        let mut topics = self.by_name.write();
        for name in idle {
            if topics.get_mut(&name).is_some_and(|topic| topic.get_mut().is_idle()) {
                topics.remove(&name);
            }
        }
    }

    /// Leave an eighth of the room for topics that have nothing yet.
    fn even_out(&self) {
        let most = self.ledger.limit() / 8 * 7;
        if self.ledger.bytes() <= most {
            return;
        }
        let topics = self.by_name.read();
        let first = |(name, topic): (_, &Mutex<Topic>)| Some(Reverse((topic.lock().history.as_ref()?.oldest()?, name)));
        let mut oldest: BinaryHeap<Reverse<(Instant, &Arc<str>)>> = topics.iter().filter_map(first).collect();
        while self.ledger.bytes() > most
            && let Some(Reverse((_, name))) = oldest.pop()
        {
            let Some(mut topic) = topics.get(name).map(Mutex::lock) else { continue };
            let Some(history) = &mut topic.history else { continue };
            history.drop_oldest(Gap::Bytes);
            history.recount();
            oldest.extend(history.oldest().map(|at| Reverse((at, name))));
        }
    }
}
