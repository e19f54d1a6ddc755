//! Steps that do something.

use super::reason::{Absence, Reason};
use super::speech::Speech;
use super::{Mode, Player, unplayable};
use crate::backend::{Answer, BackendError, Connect, Message};
use crate::compare::{self, Mismatch};
use crate::format::{Action, ConnectStep, Fault, Outcome, Payload, Step, Table, TextPattern};
use crate::spoken::with_header;

/// The status of a request for a WebSocket that was accepted.
pub(super) const ACCEPTED: u16 = 101;

impl Player<'_> {
    pub(super) fn act(&mut self, step: &Step) -> Result<(), Reason> {
        if let Some(client) = leaving(&step.action) {
            self.leave_nothing_unread(client)?;
        }
        self.last_action = step.last_line;
        self.perform(step)?;
        match self.mode {
            Mode::Verify => Ok(()),
            Mode::Bless => self.look_at_all(),
        }
    }

    fn perform(&mut self, step: &Step) -> Result<(), Reason> {
        match &step.action {
            Action::Connect(connect) => self.connect(step, connect),
            Action::Return(connect) => self.return_client(step, connect),
            Action::Send { client, payload } => self.send(client, payload),
            Action::Say { client, said } => self.say(client, said),
            Action::Publish(publish) => self.publish(step, publish),
            Action::Disconnect { client, .. } | Action::Vanish { client } => self.leave(step, client),
            Action::Sql { database, statement, expected } => self.sql(step, database, statement, expected.as_ref()),
            Action::Script { database, file } => self.script(database, file),
            Action::Advance(time) => self.backend.advance(*time).map_err(unplayable),
            Action::Swap { app, file } => {
                self.backend.swap(app.as_deref(), &self.folder.join(file)).map_err(unplayable)
            }
            Action::Fail(fault) => self.fail(fault),
            Action::Set { key, value } => self.backend.set(key, value).map_err(unplayable),
            Action::Expect { .. }
            | Action::Hear { .. }
            | Action::Nothing { .. }
            | Action::Skip { .. }
            | Action::Closed { .. }
            | Action::Failed { .. } => Ok(()),
        }
    }

    fn connect(&mut self, step: &Step, connect: &ConnectStep) -> Result<(), Reason> {
        let request = super::payload::request(&connect.request, &self.captures).map_err(unplayable)?;
        self.ask(step, connect, request, None)
    }

    /// Send a request, and look at the answer.
    pub(super) fn ask(
        &mut self,
        step: &Step,
        connect: &ConnectStep,
        request: Connect,
        before: Option<Speech>,
    ) -> Result<(), Reason> {
        let name = &connect.client;
        let mut is_resumed = false;
        let mut answer = self.backend.connect(name, &request).map_err(unplayable)?;
        match answer.status {
            ACCEPTED => {
                self.clients.accepted(name, request);
                is_resumed = self.begin_speech(name, &mut answer, before)?;
            }
            _ => {
                self.clients.refused(name, request);
                self.clients.keep_speech(name, before);
            }
        }
        let checked = check_resumption(connect, &answer, is_resumed).and_then(|()| check_answer(connect, &answer));
        match (checked, self.mode) {
            (Err(_), Mode::Bless) => {
                self.correct_connect(step, connect, &answer, is_resumed);
                Ok(())
            }
            (result, _) => result,
        }
    }

    fn send(&mut self, client: &str, payload: &Payload) -> Result<(), Reason> {
        self.clients.open(client)?;
        let message = self.message(payload)?;
        let message = match self.clients.speech(client) {
            Some(speech) => speech.keep_sent(with_header(None, message)),
            None => message,
        };
        self.backend.send(client, message).map_err(|error| self.not_open(client, error))
    }

    /// The message that a payload stands for.
    pub(super) fn message(&self, payload: &Payload) -> Result<Message, Reason> {
        Ok(match payload {
            Payload::Text(text) => {
                Message::Text(super::payload::message(text, &self.captures).map_err(Reason::Capture)?)
            }
            Payload::Binary(bytes) => Message::Binary(bytes.clone()),
            Payload::File(path) => Message::Binary(self.read(path)?),
        })
    }

    fn leave(&mut self, step: &Step, client: &str) -> Result<(), Reason> {
        match (self.clients.open(client), self.mode) {
            (Err(Reason::Gone { absence: Absence::Closed(_), .. }), Mode::Bless) => {
                self.delete(step);
                return Ok(());
            }
            (present, _) => present?,
        };
        match &step.action {
            Action::Disconnect { close, .. } => {
                let close = close.as_ref().map(|(code, reason)| (*code, reason.as_str()));
                self.backend.disconnect(client, close)
            }
            _ => self.backend.vanish(client),
        }
        .map_err(|error| self.not_open(client, error))?;
        self.clients.left(client);
        Ok(())
    }

    fn sql(&mut self, step: &Step, database: &str, statement: &str, table: Option<&Table>) -> Result<(), Reason> {
        let statement = super::payload::statement(statement, &self.captures).map_err(unplayable)?;
        let rows = self.backend.sql(database, &statement).map_err(unplayable)?;
        let Some(table) = table else { return Ok(()) };
        match (compare::table(table, &rows, &self.captures), self.mode) {
            (Ok(()), _) => Ok(()),
            (Err(_), Mode::Bless) => {
                self.correct_rows(step, table, &rows);
                Ok(())
            }
            (Err(mismatch), Mode::Verify) => Err(Reason::Rows { database: database.to_owned(), mismatch }),
        }
    }

    fn script(&mut self, database: &str, file: &str) -> Result<(), Reason> {
        let failed = |reason: String| unplayable(BackendError(format!("{file}: {reason}")));
        let statements = String::from_utf8(self.read(file)?).map_err(|error| failed(error.to_string()))?;
        self.backend.execute_batch(database, &statements).map_err(|error| failed(error.0))
    }

    fn fail(&mut self, fault: &Fault) -> Result<(), Reason> {
        match fault {
            Fault::Statement { database, error } => self.backend.fail_sql(database, *error),
            Fault::Call { app, error } => {
                self.failed_calls.inject(app.as_deref());
                self.backend.fail_call(app.as_deref(), *error)
            }
            Fault::Instances { app } => self.backend.fail_instances(app.as_deref()),
            Fault::Outbox { client } => {
                self.clients.open(client)?;
                return self.backend.fail_outbox(client).map_err(|error| self.not_open(client, error));
            }
        }
        .map_err(unplayable)
    }

    /// The bytes of a file beside the transcript.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, Reason> {
        let path = self.folder.join(path);
        std::fs::read(&path).map_err(|error| Reason::File { path, error })
    }

    /// A client that the backend says is not open: tell how it was closed, if that came meanwhile.
    pub(super) fn not_open(&mut self, name: &str, error: BackendError) -> Reason {
        let line = self.last_action;
        let close = self.clients.get(name).and_then(|client| {
            client.fetch_all(name, self.backend, line).ok()?;
            client.close().cloned()
        });
        Reason::Backend { error, close }
    }
}

/// The client whose connection, if it has one, ends with the step.
fn leaving(action: &Action) -> Option<&str> {
    match action {
        Action::Connect(connect) | Action::Return(connect) => Some(&connect.client),
        Action::Disconnect { client, .. } | Action::Vanish { client } => Some(client),
        _ => None,
    }
}

/// Whether it is the connection from before, if the host has accepted the client.
fn check_resumption(connect: &ConnectStep, answer: &Answer, is_resumed: bool) -> Result<(), Reason> {
    let is_expected = connect.outcome == Outcome::Resumed;
    if answer.status != ACCEPTED || is_expected == is_resumed || matches!(connect.outcome, Outcome::Refused { .. }) {
        return Ok(());
    }
    let shown = |is_resumed| if is_resumed { "resumed" } else { "a new connection" };
    let mismatch = Mismatch::new(shown(is_expected), shown(is_resumed));
    Err(Reason::Resumption { client: connect.client.clone(), mismatch })
}

fn check_answer(connect: &ConnectStep, answer: &Answer) -> Result<(), Reason> {
    let client = connect.client.clone();
    match &connect.outcome {
        Outcome::Accepted(_) | Outcome::Resumed if answer.status != ACCEPTED => {
            Err(Reason::Refused { client, mismatch: Mismatch::new("accepted", refused(answer.status, &answer.body)) })
        }
        Outcome::Accepted(headers) => {
            headers.iter().try_for_each(|(name, expected)| header(connect, answer, name, expected))
        }
        Outcome::Resumed => Ok(()),
        Outcome::Refused { status, body } if answer.status == ACCEPTED => {
            let expected = refused(*status, &body.as_ref().map(shown).unwrap_or_default());
            Err(Reason::Accepted { client, mismatch: Mismatch::new(expected, "accepted") })
        }
        Outcome::Refused { status, body } => {
            if *status == answer.status && body.as_ref().is_none_or(|body| body_matches(body, &answer.body)) {
                return Ok(());
            }
            let (expected, got) = match body {
                // Nobody has written what the body is to be.
                None => (String::new(), ""),
                // A body that is right is not a difference.
                Some(body) if body_matches(body, &answer.body) => (answer.body.clone(), answer.body.as_str()),
                Some(body) => (shown(body), answer.body.as_str()),
            };
            let mismatch = Mismatch::new(refused(*status, &expected), refused(answer.status, got));
            Err(Reason::Refusal { client, mismatch })
        }
    }
}

fn header(connect: &ConnectStep, answer: &Answer, name: &str, expected: &TextPattern) -> Result<(), Reason> {
    let values = header_values(answer, name);
    if values.iter().any(|value| compare::text(expected, value).is_ok()) {
        return Ok(());
    }
    let got = match values.is_empty() {
        true => format!("no field {name}"),
        false => format!("{name}: {}", values.join(", ")),
    };
    let mismatch = Mismatch::new(format!("{name}: {}", shown(expected)), got);
    Err(Reason::Header { client: connect.client.clone(), name: name.to_owned(), mismatch })
}

/// The values of a header field, which may be there several times.
pub(super) fn header_values<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let named = answer.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

/// White space at the ends of a body does not matter.
pub(super) fn body_matches(expected: &TextPattern, body: &str) -> bool {
    match expected {
        TextPattern::Exact(expected) => expected.trim() == body.trim(),
        pattern => compare::text(pattern, body).is_ok(),
    }
}

fn refused(status: u16, body: &str) -> String {
    format!("refused {status} {}", body.trim()).trim_end().to_owned()
}

pub(super) fn shown(pattern: &TextPattern) -> String {
    match pattern {
        TextPattern::Exact(text) => text.clone(),
        TextPattern::Regex(regex) => format!("/{}/", regex.0.as_str()),
    }
}
