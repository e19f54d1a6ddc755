//! What a transcript is played on: a host inside this process, or a running host over real sockets.

mod data;

use std::path::Path;
use std::time::Duration;

pub use data::{
    Answer, CallFault, Connect, Cost, FailedCall, LogLine, Message, Publication, Received, Resume, Rows, StatementFault,
};

/// Why a step could not be played. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);

/// A host that a transcript is played on. Clients have the names that the transcript gives them. The parser makes
/// sure that a step uses only clients which have connected before.
pub trait Backend {
    /// Connect a client, and run everything that follows from it. A name may be used again.
    ///
    /// # Errors
    /// If there is no answer.
    fn connect(&mut self, client: &str, request: &Connect) -> Result<Answer, BackendError>;

    /// Send a message, and run everything that follows from it.
    ///
    /// # Errors
    /// If the connection is not open.
    fn send(&mut self, client: &str, message: Message) -> Result<(), BackendError>;

    /// Take what the client received next; none if there is nothing. A remote backend waits for it.
    ///
    /// # Errors
    /// If the client was never accepted.
    fn receive(&mut self, client: &str) -> Result<Option<Received>, BackendError>;

    /// The same, but wait only as long as it takes to know that there is nothing.
    ///
    /// # Errors
    /// If the client was never accepted.
    fn poll(&mut self, client: &str) -> Result<Option<Received>, BackendError>;

    /// Close a connection from the client's side, and run everything that follows from it. The host's answer is
    /// not [received](Self::receive).
    ///
    /// # Errors
    /// If the connection is not open.
    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), BackendError>;

    /// Break a connection.
    ///
    /// # Errors
    /// If the connection is not open.
    fn vanish(&mut self, client: &str) -> Result<(), BackendError>;

    /// Run a statement.
    ///
    /// # Errors
    /// If there is no such database, or the statement fails.
    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, BackendError>;

    /// Run all statements of a script.
    ///
    /// # Errors
    /// If there is no such database, or one of them fails.
    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), BackendError>;

    /// Publish a message as another program does, and run everything that follows from it. Returns its position, if the topic
    /// keeps it.
    ///
    /// # Errors
    /// If it is refused, or the backend does not know how to publish.
    fn publish(&mut self, publication: &Publication) -> Result<Option<String>, BackendError>;

    /// Let time pass, and run everything that becomes due meanwhile.
    ///
    /// # Errors
    /// If the backend cannot let so much time pass.
    fn advance(&mut self, time: Duration) -> Result<(), BackendError>;

    /// Deploy another component.
    ///
    /// # Errors
    /// If it does not pass the gate.
    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), BackendError>;

    /// Make the next statement of a module fail.
    ///
    /// # Errors
    /// If there is no such database.
    fn fail_sql(&mut self, database: &str, fault: StatementFault) -> Result<(), BackendError>;

    /// Make the next call of a module fail.
    ///
    /// # Errors
    /// If there is no such app.
    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), BackendError>;

    /// Drop all idle instances.
    ///
    /// # Errors
    /// If there is no such app.
    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), BackendError>;

    /// Fill a client's outbox.
    ///
    /// # Errors
    /// If the connection is not open.
    fn fail_outbox(&mut self, client: &str) -> Result<(), BackendError>;

    /// Change a key of the config, as a reload does.
    ///
    /// # Errors
    /// What is wrong with the key or the value.
    fn set(&mut self, key: &str, value: &str) -> Result<(), BackendError>;

    /// Why an expected message may still be missing, as the end of a sentence; a remote backend does not know.
    fn delay(&self) -> Option<&'static str> {
        None
    }

    /// What a transcript that ends here would leave open, in a sentence; a remote backend does not know.
    fn loose_end(&self) -> Option<String> {
        None
    }

    /// Take the calls of modules that have failed since the last time; a remote backend does not know them.
    fn take_failed_calls(&mut self) -> Vec<FailedCall>;

    /// The name of the client to which a connection belongs; a remote backend does not know it.
    fn client_of(&self, connection: u64) -> Option<&str>;

    /// Take the lines of the host's log since the last time; a remote backend has none.
    fn take_log(&mut self) -> Vec<LogLine>;

    /// What the calls have cost so far; a remote backend does not know.
    fn cost(&self) -> Option<Cost>;
}
