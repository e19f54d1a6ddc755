//! Inside this process: every step on a [`TestHost`].

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::{Answer, Cost, LogLine, Message, Received, Rows, Stage, StageError};
use crate::database::{DatabaseError, Value};
use crate::testkit::{self, Client, TestHost};
use crate::transcript::compare::text_cell;
use crate::transcript::format::{CallFault, Connect, StatementFault};

/// A host in a laboratory, with the clients of one transcript.
pub struct Inside {
    // Before the host: fields drop in this order.
    clients: HashMap<String, Client>,
    host: TestHost,
}

impl Inside {
    /// Play on this host.
    pub fn new(host: TestHost) -> Self {
        Self { clients: HashMap::new(), host }
    }

    /// All bytes that the host has written to a client, its answer to the request included.
    pub fn received_bytes(&self, client: &str) -> Vec<u8> {
        self.clients.get(client).map(Client::received_bytes).unwrap_or_default()
    }

    fn client(&self, name: &str) -> Result<&Client, StageError> {
        self.clients.get(name).ok_or_else(|| never_accepted(name))
    }
}

pub(super) fn never_accepted(client: &str) -> StageError {
    StageError(format!("`{client}` has no connection: it was refused"))
}

impl Stage for Inside {
    fn connect(&mut self, connect: &Connect) -> Result<Answer, StageError> {
        // One that has the name already is gone from the transcript.
        self.clients.remove(&connect.client);
        match self.host.request(&request(connect))? {
            Ok(client) => {
                let answer = client.answer().clone();
                self.clients.insert(connect.client.clone(), client);
                Ok(answer)
            }
            Err(answer) => Ok(answer),
        }
    }

    fn send(&mut self, client: &str, message: Message) -> Result<(), StageError> {
        Ok(self.client(client)?.send(message)?)
    }

    fn receive(&mut self, client: &str) -> Result<Option<Received>, StageError> {
        Ok(self.client(client)?.receive())
    }

    fn poll(&mut self, client: &str) -> Result<Option<Received>, StageError> {
        self.receive(client)
    }

    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), StageError> {
        Ok(self.client(client)?.disconnect(close)?)
    }

    fn vanish(&mut self, client: &str) -> Result<(), StageError> {
        Ok(self.client(client)?.vanish()?)
    }

    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, StageError> {
        let found = self.host.database(database)?.run(statement);
        let found = found.map_err(|error| StageError(format!("the statement fails: {error}")))?;
        let rows = found.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        Ok(Rows { columns: found.columns, rows })
    }

    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), StageError> {
        let done = self.host.database(database)?.execute_batch(statements);
        done.map_err(|error| StageError(error.to_string()))
    }

    fn advance(&mut self, time: Duration) -> Result<(), StageError> {
        self.host.advance(time);
        Ok(())
    }

    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), StageError> {
        Ok(self.host.swap(app, file)?)
    }

    fn fail_statement(&mut self, database: &str, fault: StatementFault) -> Result<(), StageError> {
        Ok(self.host.fail_statement(database, database_error(fault))?)
    }

    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), StageError> {
        Ok(self.host.fail_call(app, call_fault(fault))?)
    }

    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), StageError> {
        Ok(self.host.fail_instances(app)?)
    }

    fn fail_outbox(&mut self, client: &str) -> Result<(), StageError> {
        Ok(self.client(client)?.fill_outbox()?)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), StageError> {
        Ok(self.host.set(key, value)?)
    }

    fn delay(&self) -> Option<&'static str> {
        self.host.is_waiting().then_some("a call of the module waits for time to pass, which `advance` lets it")
    }

    fn loose_end(&self) -> Option<String> {
        self.host.unmet_fault().or_else(|| self.delay().map(str::to_owned))
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        self.host.take_log()
    }

    fn cost(&self) -> Option<Cost> {
        Some(self.host.cost())
    }
}

/// The request of a step as the harness takes it.
pub(super) fn request(connect: &Connect) -> testkit::Connect {
    let mut request = testkit::Connect::to(&connect.target);
    for (name, value) in &connect.headers {
        request = request.header(name, value);
    }
    match connect.id {
        Some(id) => request.id(id),
        None => request,
    }
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

fn call_fault(fault: CallFault) -> testkit::CallFault {
    match fault {
        CallFault::Trap => testkit::CallFault::Trap,
        CallFault::Memory => testkit::CallFault::Memory,
        CallFault::CpuTime => testkit::CallFault::CpuTime,
        CallFault::Timeout => testkit::CallFault::Timeout,
        CallFault::Busy => testkit::CallFault::Busy,
    }
}
