//! The host of a test.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::builder::MockHostBuilder;
use super::database::MockDatabase;
use super::engine::Engine;
use super::{Answer, Connect, LogLine, MockClient};
use crate::{Handler, SqlError};

/// A host for one handler, in memory. See the [module](super) for an example.
///
/// It runs on one thread, like a test. Several hosts in one test are independent of each other.
pub struct MockHost<H> {
    engine: Rc<Engine>,
    handler: PhantomData<H>,
}

impl<H: Handler> MockHost<H> {
    /// A host without settings and databases.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Set up a host.
    pub fn builder() -> MockHostBuilder<H> {
        MockHostBuilder::new()
    }
}

impl<H: Handler> Default for MockHost<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> MockHost<H> {
    pub(super) fn new_with(engine: Rc<Engine>) -> Self {
        Self { engine, handler: PhantomData }
    }

    /// Connect a client, which the handler is expected to accept: with a path such as `/chat?room=lobby`, or a
    /// [`Connect`] for more than that.
    ///
    /// # Panics
    /// If the client is refused.
    #[track_caller]
    pub fn connect(&self, connect: impl Into<Connect>) -> MockClient {
        match self.request(connect) {
            Ok(client) => client,
            Err(answer) => panic!("the client was refused with {answer}"),
        }
    }

    /// Have a client ask for a connection, which the handler may refuse.
    ///
    /// # Errors
    /// The HTTP answer if the handler refuses or fails.
    pub fn request(&self, connect: impl Into<Connect>) -> Result<MockClient, Answer> {
        let id = self.engine.connect(connect.into().into_request())?;
        Ok(MockClient::new(Rc::clone(&self.engine), id))
    }

    /// Let time pass. The timers that become due meanwhile fire in their order, each at its time; otherwise the clock
    /// stands still. A timer that was set without a delay fires at `advance(Duration::ZERO)`.
    ///
    /// # Panics
    /// If the handler panics.
    pub fn advance(&self, time: Duration) {
        self.engine.advance(time);
    }

    /// The current time, which [`clock::now`](crate::clock::now) also returns to the handler.
    pub fn now(&self) -> SystemTime {
        self.engine.state().now
    }

    /// A database of this host, to fill it or to read from it.
    ///
    /// # Panics
    /// If the host has no database of that name.
    #[track_caller]
    pub fn database(&self, name: &str) -> MockDatabase {
        match self.engine.state().databases.get(name) {
            Some(store) => MockDatabase::new(Rc::clone(store)),
            None => panic!("the host has no database `{name}`: add it with the builder's `database`"),
        }
    }

    /// Have the handler's next `query` or `execute` in a database fail, before it does anything. Several such errors
    /// apply one after the other. [`SqlError::ConnectionLost`] also ends the transaction.
    ///
    /// # Panics
    /// If the host has no database of that name.
    #[track_caller]
    pub fn fail_statement(&self, database: &str, error: SqlError) {
        self.database(database).fail_next(error);
    }

    /// Drop the instance, as the host may do between any two calls: the next call runs
    /// [`start`](crate::Start::start) again. Connections, topics, timers and databases stay.
    pub fn fail_instances(&self) {
        self.engine.drop_instance();
    }

    /// The log lines since the last call of this function: those that the handler has logged, and those of the host
    /// about it, such as why a call failed. A test that fails prints them.
    pub fn take_log(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.engine.state_mut().log)
    }

    /// Run [`Handler::check`] as the host does before a deploy: it can read the settings and databases, and finds no
    /// connections.
    ///
    /// # Errors
    /// The error that the person or program that deploys reads.
    pub fn check(&self) -> Result<(), String> {
        self.engine.check()
    }

    /// Run [`Handler::migrate`] on the attachment of a connection that another version has served.
    ///
    /// # Errors
    /// The error that the host logs; the connection stays with the version that it has.
    pub fn migrate(&self, from_version: &str, attachment: impl Into<Vec<u8>>) -> Result<Vec<u8>, String> {
        self.engine.migrate(from_version, attachment.into())
    }
}

impl<H> fmt::Debug for MockHost<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MockHost").field(&*self.engine.state()).finish()
    }
}
