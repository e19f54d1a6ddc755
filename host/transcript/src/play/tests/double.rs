//! A backend that does what a test says: each action has its reaction, in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Path;
use crate::backend::{
    Answer, Backend, BackendError, CallFault, Connect, Cost, FailedCall, LogLine, Message, Publication, Received, Rows,
    StatementFault,
};

#[derive(Default, Clone)]
pub(super) struct Double {
    reactions: VecDeque<Reaction>,
    inboxes: BTreeMap<String, VecDeque<Received>>,
    log: Vec<LogLine>,
    failed_calls: Vec<FailedCall>,
    /// What was done, in order.
    pub(super) done: Vec<String>,
}

#[derive(Default, Clone)]
pub(super) struct Reaction {
    messages: Vec<(&'static str, Received)>,
    answer: Option<Answer>,
    rows: Option<Rows>,
    position: Option<&'static str>,
    error: Option<&'static str>,
    log: Vec<LogLine>,
    failed_calls: Vec<FailedCall>,
}

/// A reaction with these messages.
pub(super) fn then(messages: impl IntoIterator<Item = (&'static str, Received)>) -> Reaction {
    Reaction { messages: messages.into_iter().collect(), ..Reaction::default() }
}

impl Reaction {
    pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { answer: Some(Answer { status, headers, body: body.to_owned() }), ..Self::default() }
    }

    pub(super) fn rows(columns: &[&str], rows: &[&[&str]]) -> Self {
        let owned = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = Rows { columns: owned(columns), rows: rows.iter().map(|row| owned(row)).collect() };
        Self { rows: Some(rows), ..Self::default() }
    }

    /// The same with these messages.
    pub(super) fn with(mut self, messages: impl IntoIterator<Item = (&'static str, Received)>) -> Self {
        self.messages.extend(messages);
        self
    }

    pub(super) fn position(position: &'static str) -> Self {
        Self { position: Some(position), ..Self::default() }
    }

    pub(super) fn error(error: &'static str) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    pub(super) fn failing(mut self, call: FailedCall) -> Self {
        self.failed_calls.push(call);
        self
    }

    pub(super) fn logging(mut self, level: &'static str, text: &str) -> Self {
        self.log.push(LogLine { level, text: text.to_owned() });
        self
    }
}

impl Double {
    pub(super) fn new(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        Self { reactions: reactions.into_iter().collect(), ..Self::default() }
    }

    fn act(&mut self, what: String) -> Result<Reaction, BackendError> {
        self.done.push(what);
        let mut reaction = self.reactions.pop_front().unwrap_or_default();
        for (client, received) in reaction.messages.drain(..) {
            self.inboxes.entry(client.to_owned()).or_default().push_back(received);
        }
        self.log.append(&mut reaction.log);
        self.failed_calls.append(&mut reaction.failed_calls);
        match reaction.error {
            Some(error) => Err(BackendError(error.to_owned())),
            None => Ok(reaction),
        }
    }
}

impl Backend for Double {
    fn connect(&mut self, client: &str, connect: &Connect) -> Result<Answer, BackendError> {
        let headers = connect.headers.iter().map(|(name, value)| format!(" {name}: {value}")).collect::<String>();
        // Most tests ask for the same path.
        let target = Some(format!(" {}", connect.target)).filter(|target| target != " /chat").unwrap_or_default();
        let speaks = connect.speaks.as_ref().map(|since| format!(" speaking since {since:?}")).unwrap_or_default();
        let resume = connect.resume.as_ref();
        let resume = resume.map(|resume| format!(" resuming {} after {}", resume.token, resume.received));
        let resume = resume.unwrap_or_default();
        let reaction = self.act(format!("connect {client}{target}{headers}{speaks}{resume}"))?;
        Ok(reaction.answer.unwrap_or(Answer { status: 101, headers: Vec::new(), body: String::new() }))
    }

    fn send(&mut self, client: &str, message: Message) -> Result<(), BackendError> {
        match message {
            Message::Text(text) => self.act(format!("{client} > {text}")),
            Message::Binary(bytes) => self.act(format!("{client} > {bytes:?}")),
        }
        .map(drop)
    }

    fn receive(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        self.poll(client)
    }

    fn poll(&mut self, client: &str) -> Result<Option<Received>, BackendError> {
        Ok(self.inboxes.get_mut(client).and_then(VecDeque::pop_front))
    }

    fn disconnect(&mut self, client: &str, close: Option<(u16, &str)>) -> Result<(), BackendError> {
        self.act(format!("{client} disconnects {close:?}")).map(drop)
    }

    fn vanish(&mut self, client: &str) -> Result<(), BackendError> {
        self.act(format!("{client} vanishes")).map(drop)
    }

    fn sql(&mut self, database: &str, statement: &str) -> Result<Rows, BackendError> {
        let reaction = self.act(format!("sql {database}: {statement}"))?;
        Ok(reaction.rows.unwrap_or(Rows { columns: Vec::new(), rows: Vec::new() }))
    }

    fn execute_batch(&mut self, database: &str, statements: &str) -> Result<(), BackendError> {
        self.act(format!("sql {database}: file with {statements}")).map(drop)
    }

    fn publish(&mut self, publication: &Publication) -> Result<Option<String>, BackendError> {
        let Publication { app, topic, id, message } = publication;
        let reaction = self.act(format!("publish {app:?} {topic} {id:?}: {message}"))?;
        Ok(reaction.position.map(str::to_owned))
    }

    fn advance(&mut self, time: Duration) -> Result<(), BackendError> {
        self.act(format!("advance {time:?}")).map(drop)
    }

    fn swap(&mut self, app: Option<&str>, file: &Path) -> Result<(), BackendError> {
        self.act(format!("swap {app:?} {}", file.display())).map(drop)
    }

    fn fail_sql(&mut self, database: &str, fault: StatementFault) -> Result<(), BackendError> {
        self.act(format!("fail sql {database}: {fault:?}")).map(drop)
    }

    fn fail_call(&mut self, app: Option<&str>, fault: CallFault) -> Result<(), BackendError> {
        self.act(format!("fail call {app:?}: {fault:?}")).map(drop)
    }

    fn fail_instances(&mut self, app: Option<&str>) -> Result<(), BackendError> {
        self.act(format!("fail instances {app:?}")).map(drop)
    }

    fn fail_outbox(&mut self, client: &str) -> Result<(), BackendError> {
        self.act(format!("fail outbox {client}")).map(drop)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BackendError> {
        self.act(format!("set {key} = {value}")).map(drop)
    }

    fn take_failed_calls(&mut self) -> Vec<FailedCall> {
        std::mem::take(&mut self.failed_calls)
    }

    fn client_of(&self, connection: u64) -> Option<&str> {
        // Connection 1 is that of alice.
        (connection == 1).then_some("alice")
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    fn cost(&self) -> Option<Cost> {
        Some(Cost { calls: self.done.len() as u64, ..Cost::default() })
    }
}
