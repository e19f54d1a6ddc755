//! The transactional outbox: the table `hassock_outbox`, into which programs insert in their own transactions what is to be
//! published.
//!
//! `schema` has its SQL, `create` makes and checks it, and `reader` is the session through which a relay reads committed
//! rows and deletes those that it has published. What is published, and when, is not decided here.

mod create;
mod reader;
mod row;
mod schema;
mod stats;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use create::create;
pub(super) use create::make_ready;
pub use create::{Created, Step};
pub(crate) use reader::OutboxReader;
pub(crate) use row::{OutboxHead, OutboxPayload, OutboxRow};
pub(super) use schema::INSERT;
pub use schema::{OutboxOrder, script};
pub use stats::OutboxReport;
pub(crate) use stats::OutboxStats;

use super::Database;
use super::error::{DatabaseError, OpenError};
use super::limits::Access;
use super::value::Value;
use crate::config::{DatabaseConfig, MAX_OUTBOX_BATCH, OutboxConfig};

/// The maximum length of the name of a topic, in bytes, as `wit/topics.wit` says.
pub(crate) const MAX_TOPIC: usize = 256;

/// How long rows stay in the table after they were published. To publish is to queue for subscribers: a host that is killed then
/// has not sent what it has queued, and the next one publishes it again. Sessions need less than this to write, unless a client
/// does not read.
const KEPT: Duration = Duration::from_millis(100);

/// The outbox of a database.
#[derive(Debug)]
pub struct Outbox {
    config: OutboxConfig,
    /// Only this process can insert rows, so that nobody has to look for them.
    is_in_memory: bool,
    /// Notified when a transaction of this process has committed rows.
    committed: Notify,
    pub(crate) stats: OutboxStats,
}

/// A message that a transaction publishes.
#[derive(Debug, Clone, Copy)]
pub enum OutboxMessage<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl OutboxMessage<'_> {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Outbox {
    pub(super) fn new(config: &DatabaseConfig) -> Option<Self> {
        let is_in_memory = config.is_in_memory();
        config.outbox.clone().map(|config| Self {
            config,
            is_in_memory,
            committed: Notify::new(),
            stats: OutboxStats::default(),
        })
    }

    /// After how long somebody has to look for rows that another program has committed. None if there is no other program.
    pub(crate) fn poll(&self) -> Option<Duration> {
        (!self.is_in_memory).then(|| self.config.poll.get())
    }

    /// How long nothing is published after the start of the host. What is in memory was not there before.
    pub(crate) fn start_delay(&self) -> Duration {
        if self.is_in_memory { Duration::ZERO } else { self.config.start_delay.get() }
    }

    /// How long rows stay after they were published.
    pub(crate) fn kept(&self) -> Duration {
        if self.is_in_memory { Duration::ZERO } else { KEPT }
    }

    /// Rows that are read at once.
    pub(crate) fn batch(&self) -> usize {
        self.config.batch
    }

    /// Wait until a transaction of this process has committed rows.
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// A transaction has committed rows, or may have.
    pub(super) fn note_commit(&self) {
        self.committed.notify_one();
    }

    /// A statement has changed something. In other databases this may be anybody's, and polling notices it.
    pub(super) fn note_change(&self) {
        if self.is_in_memory {
            self.committed.notify_one();
        }
    }
}

impl Database {
    /// Create what is missing of the outbox in a database, whether its config has an outbox or not. SQLite needs no trigger
    /// for the order.
    ///
    /// # Errors
    /// [`OpenError`] if the database cannot be reached, or refuses it.
    pub async fn create_outbox(
        name: &str,
        config: &DatabaseConfig,
        base_dir: &Path,
        order: OutboxOrder,
    ) -> Result<Vec<Step>, OpenError> {
        let database = Arc::new(Self::connect(name, config, base_dir).await?);
        let created = Box::pin(create(&database, order)).await;
        database.close().await;
        created.map_err(|reason| OpenError::Outbox { name: name.to_owned(), reason })
    }

    /// The outbox, if the config has one.
    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.as_ref()
    }

    /// The most bytes of a result.
    pub(crate) fn max_result_bytes(&self) -> usize {
        self.config.max_result_bytes.bytes()
    }

    /// A session that may change something has done so, or may have.
    pub(super) fn note_change(&self, access: Access) {
        if let (Some(outbox), Access::ReadWrite) = (&self.outbox, access) {
            outbox.note_change();
        }
    }
}

/// The values of [`INSERT`].
///
/// # Errors
/// If a topic cannot have this name.
pub(super) fn values(app: &str, topic: &str, message: OutboxMessage<'_>) -> Result<Vec<Value>, DatabaseError> {
    if topic.is_empty() || topic.len() > MAX_TOPIC {
        return Err(DatabaseError::Other(format!("the name of a topic has 1 to {MAX_TOPIC} bytes")));
    }
    let (message, format) = match message {
        OutboxMessage::Text(text) => (Value::Text(text.to_owned()), schema::TEXT),
        OutboxMessage::Binary(bytes) => (Value::Bytes(bytes.to_vec()), schema::BINARY),
    };
    Ok(vec![Value::Text(app.to_owned()), Value::Text(topic.to_owned()), message, Value::Text(format.to_owned())])
}

/// The config of the sessions of a relay: one session, whose results are bounded by the batch.
fn own_config(config: &DatabaseConfig) -> Arc<DatabaseConfig> {
    Arc::new(DatabaseConfig {
        max_connections: 1,
        max_rows: usize::MAX,
        // The messages of a batch have `max_result_bytes` together, and each row has other columns too.
        max_result_bytes: config.max_result_bytes.bytes().saturating_add(ROW_BYTES * MAX_OUTBOX_BATCH).into(),
        ..config.clone()
    })
}

/// Bytes of a row without its message, at most: the names of the app and the topic, the rest is short.
const ROW_BYTES: usize = 2 * 1024;
