//! Sets up the host of a test.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::MockHost;
use super::database::{Access, Scripted, Store};
use super::engine::Engine;
use super::limits::Limits;
use super::module::Instance;
use super::state::State;
use crate::Handler;
use crate::sql::{SqlError, Value};

/// The time at which a host starts by default: 2025-01-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_735_689_600);

/// Sets up a [`MockHost`], in place of the host's config.
#[must_use = "`build` makes the host"]
pub struct MockHostBuilder<H> {
    state: State,
    handler: PhantomData<H>,
}

impl<H: Handler> MockHostBuilder<H> {
    pub(super) fn new() -> Self {
        Self { state: State::new(Limits::default(), SystemTime::UNIX_EPOCH + START), handler: PhantomData }
    }

    /// Give the app a setting.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.state.settings.insert(key.into(), value.into());
        self
    }

    /// Grant a database: an empty SQLite in memory, which lives as long as the host and has one connection, like
    /// `sqlite::memory:` in a host's config.
    ///
    /// # Panics
    /// If SQLite does not work.
    pub fn database(self, name: impl Into<String>) -> Self {
        self.store(name.into(), Store::sqlite_in_memory(Access::ReadWrite))
    }

    /// As [`database`](Self::database), but the handler can only read. The test fills the database through
    /// [`MockHost::database`].
    ///
    /// # Panics
    /// If SQLite does not work.
    pub fn read_only_database(self, name: impl Into<String>) -> Self {
        self.store(name.into(), Store::sqlite_in_memory(Access::ReadOnly))
    }

    /// Grant a database whose answers come from a function: for what only MariaDB can do, or to test what the handler
    /// asks. Transactions begin, commit and roll back without a call of the function.
    ///
    /// ```
    /// # use hassock_sdk::prelude::*;
    /// # use hassock_sdk::testing::{Scripted, MockHost};
    /// # #[derive(Default)]
    /// # struct Shop;
    /// # impl Handler for Shop {
    /// #     type Message<'a> = MessageRef<'a>;
    /// #     fn on_message(&self, connection: Connection, _: MessageRef<'_>) -> Result<()> {
    /// #         let rows = Database::open("main")?.query("SELECT price FROM item WHERE id = ?", params![7])?;
    /// #         connection.send(rows.one()?.get::<String>("price")?)
    /// #     }
    /// # }
    /// let host = MockHost::<Shop>::builder()
    ///     .scripted("main", |statement, parameters| match statement {
    ///         "SELECT price FROM item WHERE id = ?" => {
    ///             assert_eq!(parameters, params![7]);
    ///             Ok(Scripted::rows(["price"], [params!["12.50"]]))
    ///         }
    ///         _ => Err(SqlError::Timeout),
    ///     })
    ///     .build();
    /// # let client = host.connect("/shop");
    /// # client.send_text("how much is item 7?");
    /// # client.expect_text("12.50");
    /// ```
    pub fn scripted(
        self,
        name: impl Into<String>,
        script: impl FnMut(&str, &[Value]) -> Result<Scripted, SqlError> + 'static,
    ) -> Self {
        self.store(name.into(), Store::scripted(Box::new(script)))
    }

    /// Give topics a history of so many messages, as `[apps.NAME.topics."PATTERN"]` does: the pattern is a name, or the
    /// beginning of names with a `*` behind it. If several fit, the longest counts.
    pub fn history(mut self, pattern: impl Into<String>, messages: usize) -> Self {
        self.state.histories.configure(pattern.into(), messages);
        self
    }

    /// Start the host at this time instead of 2025-01-01T00:00:00Z.
    pub fn now(mut self, now: SystemTime) -> Self {
        self.state.now = now;
        self
    }

    /// Use other limits than the host's defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.state.limits = limits;
        self
    }

    /// Create the host. The handler starts with the first call.
    pub fn build(self) -> MockHost<H> {
        MockHost::new_with(Rc::new(Engine::new(self.state, Box::new(Instance::<H>::new()))))
    }

    fn store(mut self, name: String, store: Store) -> Self {
        self.state.databases.insert(name, Rc::new(store));
        self
    }
}
