//! What the `probe` module wrote down about its connections, read from outside.

use std::collections::BTreeMap;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

use crate::{TestHost, app_with_database, eventually, guest};

/// A database in a file, which outlives the host. The `probe` module's table `event` is in it.
pub struct Events {
    folder: TempDir,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The connection's id.
    pub connection: i64,
    /// `open`, `timer` or `closed`, or what a test wrote.
    pub kind: String,
    /// The path of an `open`, the name of a timer, and of a `closed` the code, the side that closed, and the reason.
    pub detail: String,
}

impl Events {
    /// An empty database.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let events = Self { folder };
        let mut session = events.session().await;
        sqlx::query("CREATE TABLE event (connection BIGINT, kind TEXT, detail TEXT)")
            .execute(&mut session)
            .await
            .unwrap_or_else(|error| panic!("no table: {error}"));
        events
    }

    /// A host with the `probe` module at `/probe` that writes events. `more` is added to the app's part of
    /// the config, where it must not begin its settings.
    pub async fn host(&self, more: &str) -> TestHost {
        let config = app_with_database("probe", &guest("probe"), &self.url());
        TestHost::start(&format!("{config}{more}\n[apps.probe.settings]\nevents = true\n")).await
    }

    /// The database's URL, for another config.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.file())
    }

    /// A session of our own with the database, to look at it or to lock it.
    ///
    /// # Panics
    /// If there is none.
    pub async fn session(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file()).create_if_missing(true);
        let session = options.journal_mode(SqliteJournalMode::Wal).connect().await;
        session.unwrap_or_else(|error| panic!("no database: {error}"))
    }

    /// Keep modules from writing until [`unlock`], so that a call that writes takes long.
    ///
    /// # Panics
    /// If it does not work.
    pub async fn lock(&self) -> SqliteConnection {
        let mut session = self.session().await;
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut session).await;
        begun.unwrap_or_else(|error| panic!("no lock: {error}"));
        session
    }

    /// All events in order.
    ///
    /// # Panics
    /// If they cannot be read.
    pub async fn all(&self) -> Vec<Event> {
        let query = "SELECT connection, kind, detail FROM event ORDER BY rowid";
        let rows: Vec<(i64, String, String)> = sqlx::query_as(query)
            .fetch_all(&mut self.session().await)
            .await
            .unwrap_or_else(|error| panic!("no events: {error}"));
        // The module writes the enum of the contract as `ClosedBy::Client`.
        let plain = |detail: String| detail.replace("ClosedBy::", "");
        rows.into_iter().map(|(connection, kind, detail)| Event { connection, kind, detail: plain(detail) }).collect()
    }

    /// The details of all events of a kind, in order.
    pub async fn of(&self, kind: &str) -> Vec<String> {
        self.all().await.into_iter().filter(|event| event.kind == kind).map(|event| event.detail).collect()
    }

    /// Wait for `count` events of a kind, and return their details.
    ///
    /// # Panics
    /// If there are more.
    pub async fn wait(&self, kind: &str, count: usize) -> Vec<String> {
        eventually(&format!("{count} events `{kind}`"), || async { self.of(kind).await.len() >= count }).await;
        let events = self.of(kind).await;
        assert_eq!(events.len(), count, "{events:?}");
        events
    }

    /// Invariant 2: each connection that was opened was closed once, and nothing of it came after that. Returns how
    /// many there were. Call it after the host has drained.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn assert_each_closed_once(&self) -> usize {
        let mut of_connection: BTreeMap<i64, Vec<Event>> = BTreeMap::new();
        for event in self.all().await.into_iter().filter(|event| event.connection != 0) {
            of_connection.entry(event.connection).or_default().push(event);
        }
        for events in of_connection.values() {
            let at = |kind: &str| -> Vec<usize> {
                events.iter().enumerate().filter(|(_, event)| event.kind == kind).map(|(at, _)| at).collect()
            };
            assert_eq!((at("open"), at("closed")), (vec![0], vec![events.len() - 1]), "{events:?}");
        }
        of_connection.len()
    }

    fn file(&self) -> String {
        self.folder.path().join("events.db").display().to_string()
    }
}

/// Let modules write again.
///
/// # Panics
/// If it does not work.
pub async fn unlock(mut session: SqliteConnection) {
    let ended = sqlx::query("COMMIT").execute(&mut session).await;
    ended.unwrap_or_else(|error| panic!("the lock stays: {error}"));
}

/// The command that has the `probe` write an event of the kind `note`, and so wait for the database.
pub fn note(detail: &str) -> serde_json::Value {
    let sql = "INSERT INTO event (connection, kind, detail) VALUES (0, 'note', ?)";
    serde_json::json!({ "execute": { "sql": sql, "values": [{ "text": detail }] } })
}
