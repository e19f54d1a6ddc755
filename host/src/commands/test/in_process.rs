//! Playing a transcript inside this process, on a [`TestHost`].

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use hassock_transcript::backend::{
    Answer, Backend, BackendError, CallFault, Connect, Cost, FailedCall, LogLine, Message, Publication, Received, Rows,
    StatementFault,
};
use hassock_transcript::compare::text_cell;

use crate::database::{DatabaseError, Value};
use crate::testkit::{Client, TestError, TestHost};

/// A host in this process, with the clients of one transcript.
pub struct InProcess {
    // Before the host: fields drop in this order.
    clients: HashMap<String, Client>,
    /// The name of the client for each connection id, closed connections included.
    names: HashMap<u64, String>,
    host: TestHost,
}

impl InProcess {
    /// Play on this host.
    pub fn new(host: TestHost) -> Self {
        Self { clients: HashMap::new(), names: HashMap::new(), host }
    }

    /// All bytes that the host has written to a client, the answer to its request included.
    pub fn received_bytes(&self, client: &str) -> Vec<u8> {
        self.clients.get(client).map(Client::received_bytes).unwrap_or_default()
    }

    fn client(&self, name: &str) -> Result<&Client, BackendError> {
        self.clients.get(name).ok_or_else(|| never_accepted(name))
    }
}

pub(super) fn never_accepted(client: &str) -> BackendError {
    BackendError(format!("`{client}` has no connection: it was refused"))
}

impl Backend for InProcess {
    fn connect(&mut self, name: &str, request: &Connect) -> Result<Answer, BackendError> {
        // The transcript no longer uses an earlier client of that name.
        self.clients.remove(name);
        match self.host.request(request).map_err(unplayable)? {
            Ok(client) => {
                let answer = client.answer().clone();
                self.names.insert(client.id(), name.to_owned());
                self.clients.insert(name.to_owned(), client);
                Ok(answer)
            }
            Err(answer) => Ok(answer),
        }
    }

    fn send(&mut self, client: &str, message: Message) -> Result<(), BackendError> {
        self.client(client)?.send(message).map_err(unplayable)
    }

    fn receive(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        Ok(self.client(client)?.receive())
    }

    fn poll(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        self.receive(client)
    }

    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), BackendError> {
        self.client(client)?.disconnect(close).map_err(unplayable)
    }

    fn vanish(&mut self, client: &str) -> Result<(), BackendError> {
        self.client(client)?.vanish().map_err(unplayable)
    }

    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, BackendError> {
        let found = self.host.database(database).map_err(unplayable)?.run(statement);
        let found = found.map_err(|error| BackendError(format!("the statement fails: {error}")))?;
        let rows = found.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        Ok(Rows { columns: found.columns, rows })
    }

    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), BackendError> {
        let done = self.host.database(database).map_err(unplayable)?.execute_batch(statements);
        done.map_err(|error| BackendError(error.to_string()))
    }

    fn publish(&mut self, publication: &Publication) -> Result<Option<String>, BackendError> {
        self.host.publish(publication).map_err(unplayable)
    }

    fn advance(&mut self, time: Duration) -> Result<(), BackendError> {
        self.host.advance(time);
        Ok(())
    }

    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), BackendError> {
        self.host.swap(app, file).map_err(unplayable)
    }

    fn fail_sql(&mut self, database: &str, fault: StatementFault) -> Result<(), BackendError> {
        self.host.fail_sql(database, database_error(fault)).map_err(unplayable)
    }

    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), BackendError> {
        self.host.fail_call(app, fault).map_err(unplayable)
    }

    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), BackendError> {
        self.host.fail_instances(app).map_err(unplayable)
    }

    fn fail_outbox(&mut self, client: &str) -> Result<(), BackendError> {
        self.client(client)?.fail_outbox().map_err(unplayable)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BackendError> {
        self.host.set(key, value).map_err(unplayable)
    }

    fn delay(&self) -> Option<&'static str> {
        self.host.is_waiting().then_some("a call of the module waits for time to pass, which `advance` lets it")
    }

    fn loose_end(&self) -> Option<String> {
        self.host.unmet_fault().or_else(|| self.delay().map(str::to_owned))
    }

    fn take_failed_calls(&mut self) -> Vec<FailedCall> {
        self.host.take_failed_calls()
    }

    fn client_of(&self, connection: u64) -> Option<&str> {
        self.names.get(&connection).map(String::as_str)
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        self.host.take_log()
    }

    fn cost(&self) -> Option<Cost> {
        Some(self.host.cost())
    }
}

fn unplayable(error: TestError) -> BackendError {
    BackendError(error.to_string())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::S64(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::Bytes(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{digits}'")
        }
        Value::Text(text) => text_cell(text).into_owned(),
        Value::Decimal(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Timestamp(text)
        | Value::Json(text) => text.clone(),
    }
}

fn database_error(fault: StatementFault) -> DatabaseError {
    let text = "the test had the statement fail".to_owned();
    match fault {
        StatementFault::Denied => DatabaseError::Denied(text),
        StatementFault::Timeout => DatabaseError::Timeout,
        StatementFault::PoolExhausted => DatabaseError::PoolExhausted,
        StatementFault::Constraint => DatabaseError::Constraint(text),
        StatementFault::Syntax => DatabaseError::Syntax(text),
        StatementFault::TooLarge => DatabaseError::TooLarge(text),
        StatementFault::ConnectionLost => DatabaseError::ConnectionLost(text),
    }
}
