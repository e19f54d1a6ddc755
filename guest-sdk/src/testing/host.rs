//! The host of a test.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::builder::Builder;
use super::database::TestDatabase;
use super::engine::Engine;
use super::{Client, Connect, Refused};
use crate::Handler;
use crate::log::Level;
use crate::sql::Error as SqlError;

/// A host for one handler, in memory. See the [module](super) for an example.
///
/// It is of one thread, as a test is. Several of them in one test do not know each other.
pub struct TestHost<H> {
    engine: Rc<Engine>,
    handler: PhantomData<H>,
}

impl<H: Handler> TestHost<H> {
    /// A host without settings and databases.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Set up a host.
    pub fn builder() -> Builder<H> {
        Builder::new()
    }
}

impl<H: Handler> Default for TestHost<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> TestHost<H> {
    pub(super) fn new_with(engine: Rc<Engine>) -> Self {
        Self { engine, handler: PhantomData }
    }

    /// A request for [`connect`](Self::connect), to add header fields and subprotocols to.
    pub fn request(&self, target: &str) -> Connect {
        Connect::new(target)
    }

    /// Have a client ask for a WebSocket: with a path such as `/chat?room=lobby`, or a
    /// [`request`](Self::request).
    ///
    /// # Errors
    /// The HTTP answer of a handler that refuses, or fails.
    pub fn connect(&self, request: impl Into<Connect>) -> Result<Client, Refused> {
        let id = self.engine.connect(request.into().into_raw())?;
        Ok(Client::new(Rc::clone(&self.engine), id))
    }

    /// Let time pass. The timers that become due meanwhile fire in their order, each at its time; the clock
    /// stands still otherwise. A timer that was set without a delay fires at `advance(Duration::ZERO)`.
    ///
    /// # Panics
    /// If a timer sets itself again without a delay, and so would fire for ever.
    pub fn advance(&self, time: Duration) {
        self.engine.advance(time);
    }

    /// The time now, which is also what [`clock::now`](crate::clock::now) tells the handler.
    pub fn now(&self) -> SystemTime {
        self.engine.state().now
    }

    /// A database of this host, to fill it or to look into it.
    ///
    /// # Panics
    /// If the host has none of that name.
    #[track_caller]
    pub fn database(&self, name: &str) -> TestDatabase {
        match self.engine.state().databases.get(name) {
            Some(store) => TestDatabase::new(Rc::clone(store)),
            None => panic!("the host has no database `{name}`: add it with the builder's `database`"),
        }
    }

    /// Have the handler's next `query` or `execute` in a database fail, before it does anything. Several
    /// of these apply one after the other. [`SqlError::ConnectionLost`] also ends the transaction.
    ///
    /// # Panics
    /// If the host has no database of that name.
    #[track_caller]
    pub fn fail_next_statement(&self, database: &str, error: SqlError) {
        self.database(database).fail_next(error);
    }

    /// Have a client stop reading, so that its outbox is full: what is sent to it fails with
    /// [`OutboxFull`](crate::ConnectionError::OutboxFull), and a message that is published closes it with
    /// 1013. It reads again when it is asked what it has [received](Client::received).
    pub fn fill_outbox(&self, client: &Client) {
        client.stop_reading();
    }

    /// All lines that the handler has logged, and the host about it: an error that leaves the handler
    /// becomes a line here. A test that fails prints them.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.engine.state().log.clone()
    }

    /// Drop the instance, as the host may do between any two calls: the next call runs
    /// [`start`](Handler::start) again. Connections, topics, timers and databases stay.
    pub fn restart(&self) {
        self.engine.restart();
    }

    /// Run [`Handler::check`] as before a deploy: it can read the settings and databases, and finds no
    /// connections.
    ///
    /// # Errors
    /// What whoever deploys reads.
    pub fn check(&self) -> Result<(), String> {
        self.engine.check()
    }

    /// Run [`Handler::migrate`] on the attachment of a connection that another version has served.
    ///
    /// # Errors
    /// What the host logs; the connection stays with the version that it has.
    pub fn migrate(&self, from_version: &str, attachment: impl Into<Vec<u8>>) -> Result<Vec<u8>, String> {
        self.engine.migrate(from_version, attachment.into())
    }
}

impl<H> fmt::Debug for TestHost<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestHost").field(&*self.engine.state()).finish()
    }
}
