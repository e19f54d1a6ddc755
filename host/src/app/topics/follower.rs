//! The task that brings the messages of a topic from the cluster, as long as the topic has subscribers here.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::TakenIn;
use crate::app::App;
use crate::cluster::{AppStream, Arrived, Listening};

/// How long a host waits before it asks NATS again.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a message that has come before the one before it waits.
const OUT_OF_ORDER: Duration = Duration::from_millis(10);

/// How often the one before it is looked for.
const LOOKS: usize = 20;

/// How often a topic from which nothing comes is read: NATS may have lost the last message on its way to this host. At least
/// three times in the time for which messages are kept.
const VERIFY: Duration = Duration::from_secs(30);

/// Brings the messages of a topic until it is dropped.
pub(super) struct Follower {
    to_read: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Follow a topic of an app.
    pub(super) fn start(app: Weak<App>, stream: Arc<AppStream>, topic: Arc<str>) -> Self {
        let to_read = Arc::new(Notify::new());
        let following = Following { app, stream, topic, to_read: Arc::clone(&to_read) };
        Self { to_read, task: tokio::spawn(following.run()) }
    }

    /// Somebody waits for what there is.
    pub(super) fn read(&self) {
        self.to_read.notify_one();
    }
}

/// What comes for a topic, and the last one of those that have to wait.
struct Inlet<'a> {
    listening: &'a mut Listening,
    held: Option<Arrived>,
}

struct Following {
    app: Weak<App>,
    stream: Arc<AppStream>,
    topic: Arc<str>,
    to_read: Arc<Notify>,
}

impl Following {
    async fn run(self) {
        let mut interruptions = self.stream.cluster().interruptions();
        let mut listening = self.listen().await;
        let mut held = None;
        loop {
            interruptions.borrow_and_update();
            let mut inlet = Inlet { listening: &mut listening, held: held.take() };
            if !self.read(&mut interruptions, &mut inlet).await || !self.take_held(&mut interruptions, &mut inlet).await
            {
                return;
            }
            let verify_at = Instant::now() + self.verify_after();
            loop {
                tokio::select! {
                    biased;
                    Ok(()) = interruptions.changed() => break,
                    () = self.to_read.notified() => break,
                    arrived = listening.next() => {
                        let Some(arrived) = arrived else { return };
                        match self.take_in(&arrived) {
                            Some(TakenIn::Yes) => {}
                            Some(TakenIn::NotYet | TakenIn::Perhaps) => {
                                held = Some(arrived);
                                break;
                            }
                            None => return,
                        }
                    }
                    () = sleep_until(verify_at) => break,
                }
            }
        }
    }

    async fn listen(&self) -> Listening {
        loop {
            if let Ok(listening) = self.stream.listen(&self.topic).await {
                return listening;
            }
            sleep(PAUSE).await;
        }
    }

    /// Read what is not here yet. False if the topic is not there any more.
    async fn read(&self, interruptions: &mut watch::Receiver<u64>, inlet: &mut Inlet<'_>) -> bool {
        let mut pause = PAUSE;
        loop {
            let Some(app) = self.app.upgrade() else { return false };
            let Some((after, most)) = app.topics.to_read(&self.topic) else { return true };
            drop(app);
            let read = tokio::select! {
                read = self.stream.read(&self.topic, after, most) => read,
                // The answer may be lost.
                Ok(()) = interruptions.changed() => continue,
                () = self.hold(inlet) => return false,
            };
            let Some(app) = self.app.upgrade() else { return false };
            match read {
                Ok(page) => {
                    if app.fill(&self.topic, after, page) {
                        return true;
                    }
                }
                Err(error) => {
                    tracing::debug!(app = %app.name, topic = %self.topic, %error, "a topic could not be read");
                    drop(app);
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
        }
    }

    /// Take in a message that has come before the one before it. False if the topic is not there any more.
    async fn take_held(&self, interruptions: &mut watch::Receiver<u64>, inlet: &mut Inlet<'_>) -> bool {
        for _ in 0..LOOKS {
            let Some(held) = &inlet.held else { return true };
            match self.take_in(held) {
                // It was read meanwhile.
                Some(TakenIn::Yes | TakenIn::Perhaps) => {
                    inlet.held = None;
                    return true;
                }
                Some(TakenIn::NotYet) => sleep(OUT_OF_ORDER).await,
                None => return false,
            }
            if !self.read(interruptions, inlet).await {
                return false;
            }
        }
        // It is not kept any more, and those that come later tell what is missing.
        true
    }

    /// Hold what comes while the topic is read, which has most of it: the last one shows whether it has all. Returns if the host has
    /// left the cluster.
    async fn hold(&self, inlet: &mut Inlet<'_>) {
        while let Some(arrived) = inlet.listening.next().await {
            match arrived.place {
                Some(_) => inlet.held = Some(arrived),
                None => drop(self.take_in(&arrived)),
            }
        }
    }

    fn take_in(&self, arrived: &Arrived) -> Option<TakenIn> {
        Some(self.app.upgrade()?.take_in(&self.topic, arrived))
    }

    /// Not all topics at the same time.
    fn verify_after(&self) -> Duration {
        let keep = self.app.upgrade().and_then(|app| app.topics.keeps_for(&self.topic));
        let longest = keep.map_or(VERIFY, |keep| VERIFY.min(keep / 3));
        longest.mul_f64(rand::random_range(0.5..1.0))
    }
}
