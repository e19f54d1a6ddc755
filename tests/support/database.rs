//! An empty database for one test, of either engine: tests of SQL run on both.

use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use crate::{MariaDb, TestHost, app, guest, within};

/// An empty database.
pub struct TestDatabase {
    /// Its URL, for a config.
    pub url: String,
    /// Where it is, if it is a file.
    file: Option<TempDir>,
}

/// Make a test of each function for each engine: `sqlite::NAME` and `mariadb::NAME`. A function takes a
/// [`TestDatabase`].
#[macro_export]
macro_rules! for_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::TestDatabase::sqlite()).await;
            })*
        }

        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::TestDatabase::mariadb().await).await;
            })*
        }
    };
}

impl TestDatabase {
    /// A SQLite file.
    ///
    /// # Panics
    /// If there is no folder for it.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let url = format!("sqlite://{}", folder.path().join("main.db").display());
        Self { url, file: Some(folder) }
    }

    /// A database of the MariaDB that all tests share.
    pub async fn mariadb() -> Self {
        Self { url: MariaDb::shared().await.database().await, file: None }
    }

    /// A database of a server, by its URL.
    pub fn at(url: String) -> Self {
        Self { url, file: None }
    }

    /// The text for this engine, if they differ.
    pub fn pick<'a>(&self, sqlite: &'a str, mariadb: &'a str) -> &'a str {
        if self.file.is_some() { sqlite } else { mariadb }
    }

    /// `[databases.main]` with more keys.
    pub fn config(&self, keys: &str) -> String {
        format!("[databases.main]\nurl = \"{}\"\n{keys}\n", self.url)
    }

    /// A host with the `probe` module at `/probe` that may read and write, and with more keys of the database.
    pub async fn probe(&self, keys: &str) -> TestHost {
        self.serve("probe", keys, "").await
    }

    /// A host with any module of the tests that may read and write, at its own name.
    pub async fn serve(&self, module: &str, keys: &str, app_keys: &str) -> TestHost {
        let app = app(module, &guest(module));
        TestHost::start(&format!("{}{app}databases.main = \"read-write\"\n{app_keys}", self.config(keys))).await
    }

    /// Run a statement without any host.
    ///
    /// # Panics
    /// If it fails.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        let done = if self.file.is_some() {
            let mut session = within("SQLite", SqliteConnection::connect(&self.create())).await;
            match &mut session {
                Ok(session) => sqlx::query(sql).execute(session).await.map(drop),
                Err(error) => panic!("no SQLite: {error}"),
            }
        } else {
            let mut session = within("MariaDB", MySqlConnection::connect(&self.url)).await;
            match &mut session {
                Ok(session) => sqlx::query(sql).execute(session).await.map(drop),
                Err(error) => panic!("no MariaDB: {error}"),
            }
        };
        done.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The number that a query gives, asked without any host.
    ///
    /// # Panics
    /// If it gives none.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let found = if self.file.is_some() {
            match within("SQLite", SqliteConnection::connect(&self.create())).await {
                Ok(mut session) => sqlx::query_scalar(sql).fetch_one(&mut session).await,
                Err(error) => panic!("no SQLite: {error}"),
            }
        } else {
            match within("MariaDB", MySqlConnection::connect(&self.url)).await {
                Ok(mut session) => sqlx::query_scalar(sql).fetch_one(&mut session).await,
                Err(error) => panic!("no MariaDB: {error}"),
            }
        };
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The one column of text that a query gives, asked without any host.
    ///
    /// # Panics
    /// If it fails.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let found = async {
            let sql = AssertSqlSafe(query.to_owned());
            if self.file.is_some() {
                let statement = sqlx::query_scalar::<sqlx::Sqlite, String>(sql);
                return statement.fetch_all(&mut SqliteConnection::connect(&self.create()).await?).await;
            }
            let statement = sqlx::query_scalar::<sqlx::MySql, String>(sql);
            statement.fetch_all(&mut MySqlConnection::connect(&self.url).await?).await
        };
        within("a query", found).await.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    fn create(&self) -> String {
        format!("{}?mode=rwc", self.url)
    }
}
