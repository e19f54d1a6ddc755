//! The simulated host, as a test sees it.

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::builder::TestHostBuilder;
use super::client::Client;
use super::config::{Draft, value};
use super::database::TestDatabase;
use super::faults::{call_error, failed_call};
use super::in_process_host::InProcessHost;
use super::socket::Socket;
use super::{Answer, CallFault, Connect, Cost, FailedCall, LogLine, Publication, TestError, token};
use crate::database::DatabaseError;
use crate::sim::Failure;

/// A whole host for tests: the same engine, imports and limits as in production, without sockets, database
/// servers and a real clock. It belongs to one thread and runs only while a method runs: everything that can happen
/// without time passing has happened when the method returns, so a test never sleeps.
///
/// Two similar types: the SDK's `testing::MockHost` is a mock for unit tests without WebAssembly, and the `TestHost` of this
/// repository's own tests starts a host with real sockets.
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
    host: Rc<InProcessHost>,
    draft: Draft,
}

impl TestHost {
    /// Begin to put a host together.
    pub fn builder() -> TestHostBuilder {
        TestHostBuilder::new()
    }

    /// A host with one module and defaults: `TestHost::builder().module(FILE).build()`.
    ///
    /// # Errors
    /// If the module cannot be loaded, or does not pass its own check.
    pub fn load(module: impl AsRef<Path>) -> Result<Self, TestError> {
        Self::builder().module(module).build()
    }

    pub(super) fn new(host: Rc<InProcessHost>, draft: Draft) -> Self {
        Self { host, draft }
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

    /// Connect a client that the module may refuse. The inner error is the answer to a client that is refused. Time passes
    /// only as far as the module's `open` waits for it.
    ///
    /// # Errors
    /// If the request is malformed.
    pub fn request(&self, connect: &Connect) -> Result<Result<Client, Answer>, TestError> {
        let (answer, socket) = self.host.connect(connect)?;
        Ok(match socket {
            Some(socket) => Ok(self.client(answer, socket)),
            None => Err(answer),
        })
    }

    /// Let time pass. All timers that become due meanwhile fire in order, at their times. Time passes in whole
    /// milliseconds: a part of a millisecond counts as one.
    pub fn advance(&self, time: Duration) {
        self.host.advance(time);
    }

    /// The time of the virtual clock.
    pub fn now(&self) -> SystemTime {
        self.host.now()
    }

    /// A token with these claims, for an app that demands tokens: `Connect::to("/chat").header("authorization", "Bearer …")`.
    /// Whatever the config says about keys, `issuer` and `audience`, a simulated host accepts tokens that are made here. They
    /// expire as others do, by the virtual clock.
    pub fn token(&self, claims: &serde_json::Value) -> String {
        token::sign(claims)
    }

    /// One of its databases.
    ///
    /// # Errors
    /// If the config has no such database.
    pub fn database(&self, name: &str) -> Result<TestDatabase, TestError> {
        let database = self.host.databases.get(name).ok_or_else(|| {
            let names: Vec<_> = self.host.databases.keys().map(|name| format!("`{name}`")).collect();
            TestError(format!("there is no database `{name}`; there is {}", names.join(", ")))
        })?;
        Ok(TestDatabase::new(Rc::clone(&self.host), database.clone()))
    }

    /// Deploy another component, through the gate, as `hassock module deploy` does. Without a name, to the only app.
    ///
    /// # Errors
    /// If it does not pass the gate; then the version before it continues.
    pub fn swap(&self, app: Option<&str>, module: impl AsRef<Path>) -> Result<(), TestError> {
        self.host.swap(app, module.as_ref())
    }

    /// Change a key of the config, as a reload does: `settings.greeting`, `limits.outbox_bytes`, `topics."room:*".history`, or
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
        config.listen.clone_from(&self.host.control.config().listen);
        config.listeners.clone_from(&self.host.control.config().listeners);
        let applied = self.host.work(self.host.control.apply(config));
        applied.map_err(|error| TestError(error.to_string()))?;
        self.draft = draft;
        Ok(())
    }

    /// Publish a message as another program does, with `hassock publish` or the API. Returns its position, if the topic has a
    /// history.
    ///
    /// # Errors
    /// If there is no such app, or the message is too large or not valid.
    pub fn publish(&self, publication: &Publication) -> Result<Option<String>, TestError> {
        self.host.publish(publication)
    }

    /// Make the next statement of a module in a database fail. If it belongs to a transaction, that is rolled back.
    ///
    /// # Errors
    /// If the config has no such database.
    pub fn fail_sql(&self, database: &str, error: DatabaseError) -> Result<(), TestError> {
        self.database(database)?;
        self.host.sim.faults.fail_statement(database, error);
        Ok(())
    }

    /// Make the next call of a module fail. Without a name, the next call of the only app.
    ///
    /// # Errors
    /// If there is no such app.
    pub fn fail_call(&self, app: Option<&str>, fault: CallFault) -> Result<(), TestError> {
        let app = self.host.app(app)?;
        self.host.sim.faults.fail_call(&app.name, call_error(fault, &app.setup().limits));
        Ok(())
    }

    /// Drop all idle instances, and with them everything that the module kept in its memory.
    ///
    /// # Errors
    /// If there is no such app.
    pub fn fail_instances(&self, app: Option<&str>) -> Result<(), TestError> {
        self.host.drop_instances(app)
    }

    /// Whether a call of a module is running that continues only when time [passes](Self::advance).
    pub fn is_waiting(&self) -> bool {
        self.host.control.apps().values().any(|app| app.setup().pool.calls() > 0)
    }

    /// A sentence about an injected fault that has not occurred yet; none if all have occurred.
    pub fn unmet_fault(&self) -> Option<String> {
        self.host.sim.faults.unmet()
    }

    /// Take the lines of the host's log since the last time: what the module logs and prints, and why calls failed.
    pub fn take_log(&self) -> Vec<LogLine> {
        self.host.take_log()
    }

    /// Take the calls of modules that have failed since the last time, in order: an app's timer that returned an error,
    /// a `closed` that panicked, and also the calls with a failure that a client notices.
    pub fn take_failed_calls(&self) -> Vec<FailedCall> {
        self.host.sim.failures.take().into_iter().map(|failure| self.failed_call(failure)).collect()
    }

    /// Take the first call of this name that has failed, such as `app-timer` or `closed`.
    ///
    /// # Panics
    /// If no such call has failed.
    #[track_caller]
    #[allow(clippy::panic, reason = "this is what a failed test does")]
    pub fn failed(&self, call: &str) -> FailedCall {
        match self.host.sim.failures.take_first(call) {
            Some(failure) => self.failed_call(failure),
            None => panic!("expected that a call `{call}` has failed, got {}", shown(&self.take_failed_calls())),
        }
    }

    /// No call may have failed that [`failed`](Self::failed) or [`take_failed_calls`](Self::take_failed_calls) has not
    /// taken.
    ///
    /// # Panics
    /// If a call has failed.
    #[track_caller]
    #[allow(clippy::panic, reason = "this is what a failed test does")]
    pub fn expect_no_failed_calls(&self) {
        let failed = self.take_failed_calls();
        if !failed.is_empty() {
            panic!("expected that no call has failed, got {}", shown(&failed));
        }
    }

    /// What the calls of modules have cost so far.
    pub fn cost(&self) -> Cost {
        let meter = &self.host.sim.meter;
        Cost {
            calls: meter.calls(),
            cpu_time: meter.cpu_time(),
            peak_memory: meter.peak_memory(),
            statements: meter.statements(),
        }
    }

    fn failed_call(&self, failure: Failure) -> FailedCall {
        let app = self.host.control.apps().get(&*failure.app).cloned();
        failed_call(failure, app.as_deref())
    }

    fn client(&self, answer: Answer, socket: Socket) -> Client {
        // A connection that is resumed is not the newest.
        let id = socket.told_id().unwrap_or_else(|| self.host.newest_id());
        Client::new(Rc::clone(&self.host), answer, socket, id)
    }
}

fn shown(failed: &[FailedCall]) -> String {
    match failed {
        [] => "no failed call".to_owned(),
        failed => failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}
