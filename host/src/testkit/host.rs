//! The host in a laboratory, and how it is put together.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::client::Client;
use super::config::{Draft, value};
use super::database::TestDatabase;
use super::stand::Stand;
use super::types::{Answer, Connect, LogLine};
use super::{TestError, socket::Socket};
use crate::config::Config;
use crate::database::DatabaseError;
use crate::sim::{CallFault, Cost};

/// 2025-01-01T00:00:00Z, in seconds: when it is now in a laboratory, unless a test says otherwise.
const NOW: Duration = Duration::from_secs(1_735_689_600);

/// A whole host for tests: the same engine, imports and limits as in production, without sockets, database
/// servers and a real clock. It belongs to one thread and does nothing by itself: all that can happen without
/// time passing has happened when a method returns, so a test never sleeps.
///
/// ```no_run
/// use std::time::Duration;
///
/// use hassock::testkit::TestHost;
/// use serde_json::json;
///
/// # fn main() -> Result<(), hassock::testkit::TestError> {
/// let host = TestHost::load("target/wasm32-wasip2/release/chat.wasm")?;
/// let alice = host.connect("/chat?name=alice");
/// let bob = host.connect("/chat?name=bob");
/// alice.expect_json(&json!({ "joined": "bob" }));
/// alice.send_text(r#"{"say":"hi"}"#);
/// bob.expect_json(&json!({ "from": "alice", "say": "hi" }));
/// host.advance(Duration::from_secs(60));
/// bob.vanish()?;
/// # Ok(())
/// # }
/// ```
pub struct TestHost {
    stand: Rc<Stand>,
    draft: Draft,
}

/// A [`TestHost`] that is being put together.
#[derive(Debug, Clone)]
pub struct TestHostBuilder {
    draft: Draft,
    now: SystemTime,
    seed: u64,
}

impl TestHost {
    /// A host with one module, at every path, with an empty database `main`.
    ///
    /// # Errors
    /// If the module cannot be loaded, or does not pass its own check.
    pub fn load(module: impl AsRef<Path>) -> Result<Self, TestError> {
        Self::module(module)?.build()
    }

    /// The same, to be changed before it is built.
    ///
    /// # Errors
    /// If there is no such path.
    pub fn module(module: impl AsRef<Path>) -> Result<TestHostBuilder, TestError> {
        Ok(TestHostBuilder::new(Draft::of_module(module.as_ref())?))
    }

    /// A host with the apps of a config: their modules, paths, grants, limits and settings. All databases are
    /// empty ones in memory, whatever it says.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn config(file: impl AsRef<Path>) -> Result<TestHostBuilder, TestError> {
        Ok(TestHostBuilder::new(Draft::of_file(file.as_ref())?))
    }

    /// Connect a client, which the module is expected to accept.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    #[allow(clippy::panic, reason = "this is what a failed test does")]
    pub fn connect(&self, connect: impl Into<Connect>) -> Client {
        let connect = connect.into();
        match self.request(&connect) {
            Ok(Ok(client)) => client,
            Ok(Err(Answer { status, body, .. })) => {
                panic!("{} was refused with {status}: {}", connect.target, body.trim_end())
            }
            Err(error) => panic!("{}: {error}", connect.target),
        }
    }

    /// Have a client ask for a connection. The inner error is the answer to a client that is refused. Time passes
    /// only as far as the module's `open` waits for it.
    ///
    /// # Errors
    /// If the request is malformed.
    pub fn request(&self, connect: &Connect) -> Result<Result<Client, Answer>, TestError> {
        let (answer, socket) = self.stand.connect(connect)?;
        Ok(match socket {
            Some(socket) => Ok(self.client(answer, socket)),
            None => Err(answer),
        })
    }

    /// Let time pass. All timers that are due meanwhile fire in turn, at their times. It passes in milliseconds:
    /// a part of one counts as one.
    pub fn advance(&self, time: Duration) {
        self.stand.advance(time);
    }

    /// What time it is there.
    pub fn now(&self) -> SystemTime {
        self.stand.now()
    }

    /// One of its databases.
    ///
    /// # Errors
    /// If the config has no such database.
    pub fn database(&self, name: &str) -> Result<TestDatabase, TestError> {
        let database = self.stand.databases.get(name).ok_or_else(|| {
            let names: Vec<_> = self.stand.databases.keys().map(|name| format!("`{name}`")).collect();
            TestError(format!("there is no database `{name}`; there is {}", names.join(", ")))
        })?;
        Ok(TestDatabase::new(Rc::clone(&self.stand), database.clone()))
    }

    /// Deploy another component, through the gate, as `hassock module deploy` does. Without a name, to the only app.
    ///
    /// # Errors
    /// If it does not pass the gate: the one before goes on.
    pub fn swap(&self, app: Option<&str>, module: impl AsRef<Path>) -> Result<(), TestError> {
        self.stand.swap(app, module.as_ref())
    }

    /// Change a key of the config, as a reload does: `settings.greeting`, `limits.outbox_bytes`, or
    /// `apps.NAME.…` with several apps. The value is written as in the config: `"\"hello\""`, `"5"`.
    ///
    /// # Errors
    /// What is wrong with the key or the value.
    pub fn set(&mut self, key: &str, value_as_toml: &str) -> Result<(), TestError> {
        let mut draft = self.draft.clone();
        draft.set(key, value(value_as_toml)?)?;
        // With another limit it would be opened anew, and be an empty one.
        if draft.has_other_databases(&self.draft) {
            return Err(TestError(format!(
                "`{key}`: databases are in memory here, and opened once: put it into the config that the test begins with"
            )));
        }
        let mut config = draft.finish()?;
        config.listen = self.stand.control.config().listen;
        let applied = self.stand.work(self.stand.control.apply(config));
        applied.map_err(|error| TestError(error.to_string()))?;
        self.draft = draft;
        Ok(())
    }

    /// Have the next statement of a module in a database fail. If it belongs to a transaction, that is rolled back.
    ///
    /// # Errors
    /// If the config has no such database.
    pub fn fail_statement(&self, database: &str, error: DatabaseError) -> Result<(), TestError> {
        self.database(database)?;
        self.stand.lab.faults.fail_statement(database, error);
        Ok(())
    }

    /// Have the next call of a module fail. Without a name, of the only app's.
    ///
    /// # Errors
    /// If there is no such app.
    pub fn fail_call(&self, app: Option<&str>, fault: CallFault) -> Result<(), TestError> {
        let app = self.stand.app(app)?;
        self.stand.lab.faults.fail_call(&app.name, fault);
        Ok(())
    }

    /// Drop all idle instances, and with them what the module kept in its memory and should not have.
    ///
    /// # Errors
    /// If there is no such app.
    pub fn fail_instances(&self, app: Option<&str>) -> Result<(), TestError> {
        self.stand.drop_instances(app)
    }

    /// Whether a call of a module is under way, and goes on only when time [passes](Self::advance).
    pub fn is_waiting(&self) -> bool {
        self.stand.control.apps().values().any(|app| app.setup().pool.calls() > 0)
    }

    /// A sentence about a fault that was asked for and has not come about; none if all have.
    pub fn unmet_fault(&self) -> Option<String> {
        self.stand.lab.faults.unmet()
    }

    /// The lines of the host's log since this was asked last: what the module logs and prints, and why calls failed.
    pub fn take_log(&self) -> Vec<LogLine> {
        self.stand.take_log()
    }

    /// What the calls of modules have cost so far.
    pub fn cost(&self) -> Cost {
        self.stand.lab.meter.cost()
    }

    fn client(&self, answer: Answer, socket: Socket) -> Client {
        Client::new(Rc::clone(&self.stand), answer, socket, self.stand.newest_connection())
    }
}

impl TestHostBuilder {
    fn new(draft: Draft) -> Self {
        Self { draft, now: UNIX_EPOCH + NOW, seed: 0 }
    }

    /// Set a key of the config; see [`TestHost::set`].
    ///
    /// # Errors
    /// If the value is none.
    pub fn set(mut self, key: &str, value_as_toml: &str) -> Result<Self, TestError> {
        self.draft.set(key, value(value_as_toml)?)?;
        Ok(self)
    }

    /// Set what the module reads as a setting.
    ///
    /// # Errors
    /// If there are several apps.
    pub fn setting(mut self, key: &str, setting: impl Into<String>) -> Result<Self, TestError> {
        self.draft.set(&format!("settings.{key}"), toml::Value::String(setting.into()))?;
        Ok(self)
    }

    /// Grant one more database, empty and in memory.
    ///
    /// # Errors
    /// If the name cannot be one.
    pub fn database(mut self, name: &str) -> Result<Self, TestError> {
        self.draft.grant(name)?;
        Ok(self)
    }

    /// When the test begins.
    #[must_use]
    pub fn now(mut self, now: SystemTime) -> Self {
        self.now = now;
        self
    }

    /// What random numbers follow from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Load the modules and start the host.
    ///
    /// # Errors
    /// All that stands in the way.
    pub fn build(self) -> Result<TestHost, TestError> {
        let stand = Stand::start(self.draft.finish()?, self.now, self.seed)?;
        Ok(TestHost { stand, draft: self.draft })
    }

    /// The config that it will start with.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn config(&self) -> Result<Config, TestError> {
        self.draft.finish()
    }

    /// The files of the modules that it will load.
    ///
    /// # Errors
    /// All that is wrong with the config.
    pub fn modules(&self) -> Result<Vec<PathBuf>, TestError> {
        let config = self.draft.finish()?;
        Ok(config.apps.values().map(|app| config.locator.folder().join(&app.module)).collect())
    }
}
