//! What holds for any statements: whatever a module runs, its session is the same afterwards (invariant 8), and what may
//! only read has changed nothing. A test and the fuzz target in `host/fuzz` check it in real sessions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is what a failed test does")]

use super::super::engine::{Engine, Health};
use super::super::limits::Access;
use super::super::scanner::Dialect;
use super::super::session::Run;
use super::super::statement::{self, Context};
use super::pool::PooledSession;
use super::{Sessions, Source, Sqlite, guard};
use crate::config::DatabaseConfig;
use rusqlite::Connection;
use rusqlite::types::Value as Stored;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Statements of one input. More take long, and show nothing that these would not.
const MOST: usize = 8;

/// Pragmas that a session has a value of, and a statement could set.
const PRAGMAS: [&str; 37] = [
    "analysis_limit",
    "application_id",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "checkpoint_fullfsync",
    "count_changes",
    "defer_foreign_keys",
    "empty_result_callbacks",
    "encoding",
    "foreign_keys",
    "full_column_names",
    "fullfsync",
    "hard_heap_limit",
    "ignore_check_constraints",
    "journal_mode",
    "journal_size_limit",
    "legacy_alter_table",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "page_size",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "short_column_names",
    "soft_heap_limit",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "user_version",
    "writable_schema",
];

/// Each line is a statement. It runs in a session that may read only if it begins with a `<`, and otherwise in one that
/// may also write; and within a transaction if a `+` follows, which is then rolled back.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(text: &str) {
    for line in text.lines() {
        for dialect in [Dialect::MySql, Dialect::Sqlite] {
            for (access, in_transaction) in [(Access::ReadOnly, true), (Access::ReadWrite, false)] {
                // Whatever it says, it must not panic.
                let _ = statement::check(line, 0, Context { dialect, access, in_transaction });
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(text));
}

async fn run(text: &str) {
    let url = "sqlite::memory:";
    let config = DatabaseConfig {
        url: url.into(),
        query_timeout: Duration::from_millis(50).into(),
        max_value_bytes: (64 << 10).into(),
        max_rows: 100,
        ..DatabaseConfig::default()
    };
    let config = Arc::new(config);
    let source = super::source("main", url, Path::new(""), &config).unwrap();
    let mut writer = Tried::open(&source, Access::ReadWrite, &config).await;
    let mut reader = Tried::open(&source, Access::ReadOnly, &config).await;
    for line in text.lines().take(MOST) {
        let (tried, line) = match line.strip_prefix('<') {
            Some(line) => (&mut reader, line),
            None => (&mut writer, line),
        };
        match line.strip_prefix('+') {
            Some(line) => tried.in_transaction(line).await,
            None => tried.alone(line).await,
        }
    }
    reader.close_unchanged(text).await;
    writer.close_unchanged(text).await;
}

/// A session, and what it was like at the beginning.
struct Tried {
    sessions: Sessions,
    session: PooledSession,
    access: Access,
    config: Arc<DatabaseConfig>,
    /// For what the host itself does: a machine that is busy is not a property that does not hold.
    patient: Arc<DatabaseConfig>,
    settings: Vec<String>,
}

impl Tried {
    async fn open(source: &Source, access: Access, config: &Arc<DatabaseConfig>) -> Self {
        let sessions = Sqlite::pool(source, access, config, Arc::new(Health::new()));
        let session = Sqlite::acquire(&sessions).await.unwrap();
        let patient = DatabaseConfig { query_timeout: Duration::from_secs(60).into(), ..DatabaseConfig::clone(config) };
        let (config, patient) = (Arc::clone(config), Arc::new(patient));
        let mut tried = Self { sessions, session, access, config, patient, settings: Vec::new() };
        tried.settings = tried.look(settings).await;
        tried
    }

    async fn alone(&mut self, sql: &str) {
        self.execute(sql, false).await;
        assert!(self.look(Connection::is_autocommit).await, "{sql} begins a transaction");
    }

    async fn in_transaction(&mut self, sql: &str) {
        let begin = Sqlite::begin(self.access);
        if Sqlite::control(&mut self.session, begin, &self.patient).await.is_err() {
            return;
        }
        let rolled_back = Sqlite::rollback_flag(&self.session).unwrap();
        self.execute(sql, true).await;
        // Some errors roll back; the host knows then that the transaction is over.
        let has_ended = self.look(Connection::is_autocommit).await;
        assert_eq!(has_ended, rolled_back.load(super::Ordering::Relaxed), "{sql} ends the transaction");
        if !has_ended {
            Sqlite::control(&mut self.session, "ROLLBACK", &self.patient).await.unwrap();
        }
    }

    /// Run a statement, if the host lets it, as `query` and as `execute` do.
    async fn execute(&mut self, sql: &str, in_transaction: bool) {
        let context = Context { dialect: Dialect::Sqlite, access: self.access, in_transaction };
        let Ok(verb) = statement::check(sql, 0, context) else { return };
        let config = Arc::clone(&self.config);
        let run = || Run { sql, parameters: Vec::new(), verb, config: &config };
        let _ = Sqlite::query(&mut self.session, run()).await;
        let _ = Sqlite::execute(&mut self.session, run()).await;
        let temporary = self.look(temporary).await;
        assert!(temporary.is_empty(), "{sql} makes {temporary:?}");
        if self.access == Access::ReadOnly {
            assert_eq!(self.look(|connection| connection.total_changes()).await, 0, "{sql} changes rows");
        }
    }

    async fn close_unchanged(self, text: &str) {
        let settings = self.look(settings).await;
        assert_eq!(settings, self.settings, "after\n{text}");
        drop(self.session);
        Sqlite::close(&self.sessions).await;
    }

    /// Ask SQLite itself, with statements of the host.
    async fn look<T: Send + 'static>(&self, ask: impl FnOnce(&Connection) -> T + Send + 'static) -> T {
        let own = move |connection: &Connection| guard::own(|| ask(connection));
        self.session.session.run(Duration::from_secs(10), own).await.unwrap()
    }
}

/// What is temporary: it would be there for the next call.
fn temporary(connection: &Connection) -> Vec<String> {
    texts(connection, "SELECT type || ' ' || name FROM sqlite_temp_schema")
}

/// The values of all pragmas, and the databases that are attached.
fn settings(connection: &Connection) -> Vec<String> {
    let attached = texts(connection, "SELECT name FROM pragma_database_list WHERE name <> 'temp'");
    let values = PRAGMAS.iter().map(|pragma| {
        let value: Result<Stored, _> = connection.pragma_query_value(None, pragma, |row| row.get(0));
        format!("{pragma} = {value:?}")
    });
    attached.into_iter().chain(values).collect()
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// `host/fuzz/run sql` looks for further inputs.
    #[test]
    fn the_corpus_of_the_fuzz_target_has_all_properties() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/sql");
        let read = |file: fs::DirEntry| fs::read_to_string(file.path()).unwrap();
        let texts: Vec<String> = fs::read_dir(folder).unwrap().map(|file| read(file.unwrap())).collect();
        assert!(texts.len() >= 20, "{} files", texts.len());
        texts.iter().for_each(|text| super::check(text));
    }
}
