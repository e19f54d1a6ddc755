//! Where a transcript is played: inside this process, or against a running host over real sockets.

mod inside;
mod wire;

use std::path::Path;
use std::time::Duration;

pub use inside::Inside;
pub use wire::{BadUrl, Url, Wire, inside_only};

use super::format::{CallFault, Connect, StatementFault};
use crate::testkit::TestError;
pub use crate::testkit::{Answer, Cost, LogLine, Message, Received};

/// The rows of a query, or what a statement without rows did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The names of the columns; none for a statement without rows.
    pub columns: Vec<String>,
    /// The values, as a table of a transcript shows them.
    pub rows: Vec<Vec<String>>,
}

/// A step could not be played at all. Tells what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StageError(pub String);

impl From<TestError> for StageError {
    fn from(error: TestError) -> Self {
        Self(error.to_string())
    }
}

/// Where a transcript is played. Clients have the names that the transcript gives them; to use one that has
/// never connected is an error of the transcript, which the parser finds.
pub trait Stage {
    /// Connect a client, and let everything that follows from it happen. A name may be used again.
    ///
    /// # Errors
    /// If there is no answer.
    fn connect(&mut self, connect: &Connect) -> Result<Answer, StageError>;

    /// Send a message, and let everything that follows from it happen.
    ///
    /// # Errors
    /// If the connection is not open.
    fn send(&mut self, client: &str, message: Message) -> Result<(), StageError>;

    /// Take what the client got next; none if there is nothing. Over the wire, waits for it.
    ///
    /// # Errors
    /// If the client was never accepted.
    fn receive(&mut self, client: &str) -> Result<Option<Received>, StageError>;

    /// The same, but do not wait longer than it takes to know that there is nothing.
    ///
    /// # Errors
    /// If the client was never accepted.
    fn poll(&mut self, client: &str) -> Result<Option<Received>, StageError>;

    /// Close a connection from the client's side, and let everything that follows happen. What the host
    /// answers is not [received](Self::receive).
    ///
    /// # Errors
    /// If the connection is not open.
    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), StageError>;

    /// Break a connection.
    ///
    /// # Errors
    /// If the connection is not open.
    fn vanish(&mut self, client: &str) -> Result<(), StageError>;

    /// Run a statement.
    ///
    /// # Errors
    /// If there is no such database, or the statement fails.
    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, StageError>;

    /// Run all statements of a script.
    ///
    /// # Errors
    /// If there is no such database, or one of them fails.
    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), StageError>;

    /// Let time pass, and everything happen that is due meanwhile.
    ///
    /// # Errors
    /// If time cannot pass here.
    fn advance(&mut self, time: Duration) -> Result<(), StageError>;

    /// Deploy another component.
    ///
    /// # Errors
    /// If it does not pass the gate.
    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), StageError>;

    /// Have the next statement fail.
    ///
    /// # Errors
    /// If there is no such database.
    fn fail_statement(&mut self, database: &str, fault: StatementFault) -> Result<(), StageError>;

    /// Have the next call fail.
    ///
    /// # Errors
    /// If there is no such app.
    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), StageError>;

    /// Drop all idle instances.
    ///
    /// # Errors
    /// If there is no such app.
    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), StageError>;

    /// Fill a client's outbox.
    ///
    /// # Errors
    /// If the connection is not open.
    fn fail_outbox(&mut self, client: &str) -> Result<(), StageError>;

    /// Change a key of the config, as a reload of the config does.
    ///
    /// # Errors
    /// What is wrong with the key or the value.
    fn set(&mut self, key: &str, value: &str) -> Result<(), StageError>;

    /// Why something may not have come yet, as the end of a sentence; none over the wire.
    fn delay(&self) -> Option<&'static str> {
        None
    }

    /// What a transcript that ends here would leave open, in a sentence; none over the wire.
    fn loose_end(&self) -> Option<String> {
        None
    }

    /// The lines of the host's log since this was asked last; none over the wire.
    fn take_log(&mut self) -> Vec<LogLine>;

    /// What it has cost so far; none over the wire.
    fn cost(&self) -> Option<Cost>;
}
