//! What a host in a test has.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::TestHost;
use super::database::{Access, Answer, Store};
use super::engine::Engine;
use super::limits::Limits;
use super::module::Instance;
use super::state::State;
use crate::Handler;
use crate::sql::{Error as SqlError, Value};

/// The time at which a host starts unless told otherwise: 2025-01-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_735_689_600);

/// Sets up a [`TestHost`], in place of the host's config.
#[must_use = "`build` makes the host"]
pub struct Builder<H> {
    state: State,
    handler: PhantomData<H>,
}

impl<H: Handler> Builder<H> {
    pub(super) fn new() -> Self {
        Self { state: State::new(Limits::default(), SystemTime::UNIX_EPOCH + START), handler: PhantomData }
    }

    /// Give the app a setting.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.state.settings.insert(key.into(), value.into());
        self
    }

    /// Grant a database: an empty SQLite in memory, which lives as long as the host and has one connection,
    /// as `sqlite::memory:` in a host's config.
    ///
    /// # Panics
    /// If SQLite does not work.
    pub fn database(self, name: impl Into<String>) -> Self {
        self.store(name.into(), Store::sqlite_in_memory(Access::ReadWrite))
    }

    /// The same, but the handler can only read. The test fills it through [`TestHost::database`].
    ///
    /// # Panics
    /// If SQLite does not work.
    pub fn read_only_database(self, name: impl Into<String>) -> Self {
        self.store(name.into(), Store::sqlite_in_memory(Access::ReadOnly))
    }

    /// Grant a database whose answers come from a function: for what only MariaDB can do, or to test what
    /// the handler asks. A transaction of it is begun, committed and rolled back without asking.
    ///
    /// ```
    /// # use hassock_guest::prelude::*;
    /// # use hassock_guest::testing::{Answer, TestHost};
    /// # struct Shop;
    /// # impl Handler for Shop {
    /// #     fn start() -> Result<Self> { Ok(Self) }
    /// #     fn message(&self, connection: Connection, message: Message) -> Result<()> {
    /// #         let rows = Database::open("main")?.query("SELECT price FROM item WHERE id = ?", params![7])?;
    /// #         connection.send(rows.one()?.get::<String>("price")?)?;
    /// #         Ok(())
    /// #     }
    /// # }
    /// let host = TestHost::<Shop>::builder()
    ///     .scripted("main", |statement, parameters| match statement {
    ///         "SELECT price FROM item WHERE id = ?" => {
    ///             assert_eq!(parameters, params![7]);
    ///             Ok(Answer::rows(["price"], [params!["12.50"]]))
    ///         }
    ///         _ => Err(sql::Error::Timeout),
    ///     })
    ///     .build();
    /// # let client = host.connect("/shop")?;
    /// # client.send("how much is item 7?");
    /// # assert_eq!(client.received(), [Message::from("12.50")]);
    /// # Ok::<(), hassock_guest::Error>(())
    /// ```
    pub fn scripted(
        self,
        name: impl Into<String>,
        script: impl FnMut(&str, &[Value]) -> Result<Answer, SqlError> + 'static,
    ) -> Self {
        self.store(name.into(), Store::scripted(Box::new(script)))
    }

    /// The time at which the host starts, instead of 2025-01-01T00:00:00Z.
    pub fn now(mut self, now: SystemTime) -> Self {
        self.state.now = now;
        self
    }

    /// Other bounds than the host's defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.state.limits = limits;
        self
    }

    /// Make the host. The handler starts with the first call.
    pub fn build(self) -> TestHost<H> {
        TestHost::new_with(Rc::new(Engine::new(self.state, Box::new(Instance::<H>::new()))))
    }

    fn store(mut self, name: String, store: Store) -> Self {
        self.state.databases.insert(name, Rc::new(store));
        self
    }
}
