//! Another program with a session of its own in a database, as an application in any language has.

use hassock::config::Config;
use hassock::database::{Database, OutboxOrder};
use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::{TestDatabase, within};

/// A session in a database.
pub enum Program {
    /// In a file of SQLite.
    Sqlite(SqliteConnection),
    /// In MariaDB.
    MariaDb(MySqlConnection),
}

impl Program {
    /// Connect to a database by its URL.
    ///
    /// # Errors
    /// What the database says.
    pub async fn connect(url: &str) -> Result<Self, sqlx::Error> {
        Ok(match url.starts_with("sqlite:") {
            true => Self::Sqlite(SqliteConnection::connect(&format!("{url}?mode=rwc")).await?),
            false => Self::MariaDb(MySqlConnection::connect(url).await?),
        })
    }

    /// Run statements.
    ///
    /// # Errors
    /// What the database says.
    pub async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(session) => session.execute(sql).await.map(drop),
            Self::MariaDb(session) => session.execute(sql).await.map(drop),
        }
    }

    /// Run statements.
    ///
    /// # Panics
    /// If one fails.
    pub async fn run(&mut self, sql: &str) {
        within(sql, self.try_run(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The number that a query gives.
    ///
    /// # Panics
    /// If it gives none.
    pub async fn number(&mut self, query: &str) -> i64 {
        let sql = AssertSqlSafe(query.to_owned());
        let found = match self {
            Self::Sqlite(session) => sqlx::query_scalar(sql).fetch_one(session).await,
            Self::MariaDb(session) => sqlx::query_scalar(sql).fetch_one(session).await,
        };
        found.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Insert a message for the app `probe`.
    ///
    /// # Panics
    /// If that fails.
    pub async fn publish(&mut self, topic: &str, message: &str) {
        self.run(&publication(topic, message)).await;
    }
}

/// The statement with which a program publishes a message of the app `probe`.
pub fn publication(topic: &str, message: &str) -> String {
    format!("INSERT INTO hassock_outbox (app, topic, message) VALUES ('probe', '{topic}', '{message}')")
}

impl TestDatabase {
    /// A session of another program.
    ///
    /// # Panics
    /// If there is none.
    pub async fn program(&self) -> Program {
        within("a session", Program::connect(&self.url)).await.unwrap_or_else(|error| panic!("no session: {error}"))
    }

    /// Make the table `hassock_outbox`.
    ///
    /// # Panics
    /// If it is not made.
    pub async fn create_outbox(&self, order: OutboxOrder) {
        let app = "[apps.probe]\npath = \"/probe\"\nmodule = \"probe.wasm\"\n";
        let config = Config::parse("hassock.toml".as_ref(), &format!("{}{app}", self.config("")));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let made = Database::create_outbox("main", &config.databases["main"], "".as_ref(), order).await;
        made.unwrap_or_else(|error| panic!("{error}"));
    }

    /// How many rows wait.
    pub async fn waiting(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM hassock_outbox").await
    }
}
