//! The life of a relay: when it looks for rows, and what it does when the database is away.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Audience;
use super::pace::Pace;
use super::published::Published;
use crate::app::App;
use crate::database::{Database, DatabaseError, Outbox, OutboxReader};
use crate::text::log_line;

/// How long a relay waits before it tries again to be the one of its database, while another host is: so long is nothing
/// published when that one ends.
const TAKE_OVER: Duration = Duration::from_secs(1);

/// How long a relay waits after the first error, and after many: a database that comes back is found soon, and one that is away
/// costs nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a relay waits when a message has to be published later.
const LATER_PAUSE: Duration = Duration::from_millis(500);

/// How often a relay looks for rows of apps that it does not publish to, which costs more than to look for others.
const STRANGERS_EVERY: Duration = Duration::from_secs(60);

/// Publishes the rows of one database.
pub(super) struct Relay {
    pub(super) database: Arc<Database>,
    pub(super) reader: OutboxReader,
    pub(super) audience: watch::Receiver<Audience>,
    pub(super) stop: CancellationToken,
    pub(super) published: Published,
    pub(super) pace: Pace,
    /// When to look for rows of other apps. At once at first.
    strangers_at: Option<Instant>,
    /// How many errors there were in a row.
    errors: u32,
    /// Whether the log says that the database is away.
    is_away: bool,
    /// Whether the log says that another host publishes.
    is_standby: bool,
}

/// What a look for rows has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// There may be more.
    More,
    /// There is nothing to publish.
    Nothing,
    /// Another host publishes.
    Standby,
    /// The host has no memory for the next message, or its cluster cannot be reached.
    Later,
}

impl Relay {
    /// A relay that has not connected yet. None if the database has no outbox.
    pub(super) fn new(
        database: &Arc<Database>,
        audience: watch::Receiver<Audience>,
        stop: CancellationToken,
    ) -> Option<Self> {
        let reader = OutboxReader::new(database)?;
        Some(Self {
            database: Arc::clone(database),
            reader,
            audience,
            stop,
            published: Published::default(),
            pace: Pace::default(),
            strangers_at: None,
            errors: 0,
            is_away: false,
            is_standby: false,
        })
    }

    /// Publish until it is stopped. The host has `started` at that time.
    pub(super) async fn run(mut self, started: Instant) {
        let start_delay = self.database.outbox().map(|outbox| outbox.start_delay()).unwrap_or_default();
        self.pause(start_delay.saturating_sub(started.elapsed())).await;
        while !self.stop.is_cancelled() {
            let looked = self.look().await;
            self.reader.rest();
            match looked {
                Ok(look) => {
                    self.note_success(look);
                    self.wait_after(look).await;
                }
                Err(error) => self.wait_after_error(&error).await,
            }
        }
        if let Some(outbox) = self.database.outbox() {
            outbox.stats.set_leads(false);
        }
        let left = self.published.all();
        if let Err(error) = self.reader.remove(&left).await {
            let rows = left.len();
            tracing::warn!(database = self.database.name(), rows, %error, "rows that were published could not be removed");
        }
        self.reader.close().await;
    }

    async fn look(&mut self) -> Result<Look, DatabaseError> {
        if !self.reader.leads().await? {
            return Ok(Look::Standby);
        }
        self.look_for_strangers().await?;
        self.publish_batch().await
    }

    async fn wait_after(&mut self, look: Look) {
        match look {
            Look::More => {}
            Look::Standby => self.pause(TAKE_OVER).await,
            Look::Later => self.pause(LATER_PAUSE).await,
            Look::Nothing => {
                let Self { database, audience, stop, published, .. } = self;
                let Some(outbox) = database.outbox() else { return };
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = outbox.committed() => {}
                    () = next_look(outbox) => {}
                    () = published.is_due(outbox.kept()) => {}
                    changed = audience.changed() => {
                        // It never ends before this is stopped.
                        if changed.is_ok() {
                            self.strangers_at = None;
                        }
                    }
                }
            }
        }
    }

    /// Commits do not end a pause: what is away stays away for a while.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(time) => {}
        }
    }

    /// One warning, however long the database is away.
    async fn wait_after_error(&mut self, error: &DatabaseError) {
        if let Some(outbox) = self.database.outbox() {
            outbox.stats.set_leads(false);
        }
        // In memory, all wait for one session, and a transaction may hold it for longer than that.
        let is_in_memory = self.database.outbox().is_some_and(|outbox| outbox.poll().is_none());
        if !self.is_away && !is_in_memory {
            self.is_away = true;
            tracing::warn!(
                database = self.database.name(),
                %error,
                "the outbox cannot be read; its rows stay, and are published when the database responds again"
            );
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.errors.min(8)).min(LONGEST_PAUSE);
        self.errors = self.errors.saturating_add(1);
        self.pause(pause).await;
    }

    fn note_success(&mut self, look: Look) {
        self.errors = 0;
        if std::mem::take(&mut self.is_away) {
            tracing::info!(database = self.database.name(), "the outbox can be read again");
        }
        let is_standby = look == Look::Standby;
        if let Some(outbox) = self.database.outbox() {
            outbox.stats.set_leads(!is_standby);
            if is_standby {
                outbox.stats.set_oldest(Duration::ZERO);
            }
        }
        if is_standby && !self.is_standby {
            tracing::info!(database = self.database.name(), "another host publishes the rows of the outbox");
        }
        self.is_standby = is_standby;
    }

    /// Rows of apps that have no grant stay, because a grant may come. Somebody should know.
    async fn look_for_strangers(&mut self) -> Result<(), DatabaseError> {
        if self.strangers_at.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        let audience = Arc::clone(&self.audience.borrow_and_update());
        let found = self.reader.strangers(&names(&audience)).await?;
        self.strangers_at = Some(Instant::now() + STRANGERS_EVERY);
        let rows = found.iter().map(|(_, rows)| rows).sum();
        if let Some(outbox) = self.database.outbox() {
            outbox.stats.set_strangers(rows);
        }
        for (app, rows) in found {
            let database = self.database.name();
            // Any program may have written anything there.
            let app = log_line(&app);
            tracing::warn!(
                %app,
                database,
                rows,
                "rows of the outbox wait for this app; it must be in the config, with a `read-write` grant for the database"
            );
        }
        Ok(())
    }
}

/// The names of the apps.
pub(super) fn names(audience: &BTreeMap<String, Arc<App>>) -> Vec<&str> {
    audience.keys().map(String::as_str).collect()
}

/// Wait until it is time to look for rows of other programs.
async fn next_look(outbox: &Outbox) {
    match outbox.poll() {
        Some(poll) => sleep(poll).await,
        None => pending().await,
    }
}
