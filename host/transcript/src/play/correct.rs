//! The same steps if what came is right: how the text has to be corrected.

use super::act::{ACCEPTED, body_matches, header_values};
use super::client::{Fetch, Got};
use super::reason::Reason;
use super::verify::close_matches;
use super::{Player, is_expectation, unplayable};
use crate::backend::{Answer, Rows};
use crate::bless::{self, Blessing};
use crate::compare;
use crate::format::{Action, ConnectStep, Expected, Heard, Outcome, Step, Table, TextPattern, step as step_text};
use crate::stable::stable_pattern;

/// What became of a message that is expected.
enum Course {
    /// It came, after as many messages that nobody expected.
    Came { after: usize },
    /// It did not come.
    Stayed,
    /// Another one came in its place.
    Changed,
}

/// A message that a step expects.
enum Wanted {
    Message(Expected),
    Heard(Heard),
}

impl Player<'_> {
    pub(super) fn correct(&mut self, step: &Step, after: &[Step]) -> Result<(), Reason> {
        match &step.action {
            Action::Expect { client, expected } => {
                self.correct_message(step, client, &Wanted::Message(expected.clone()), after)
            }
            Action::Hear { client, heard } => self.correct_message(step, client, &Wanted::Heard(heard.clone()), after),
            Action::Nothing { client } => self.correct_nothing(step, client),
            Action::Skip { client } => self.skip(client),
            Action::Closed { client, code, reason } => self.correct_close(step, client, *code, reason.as_ref()),
            Action::Failed { call, error } => {
                self.correct_failed(step, call.as_deref(), error.as_ref());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Failed calls that no step expects become steps.
    pub(super) fn insert_failed_calls(&mut self) {
        while let Some((cause, action)) = self.failed_calls.take_unexpected() {
            self.blessings.push(Blessing::InsertAfter { line: cause.last_line, text: text(&action) });
        }
    }

    fn correct_failed(&mut self, step: &Step, call: Option<&str>, error: Option<&TextPattern>) {
        if self.failed_calls.take(call, error).is_ok() {
            return;
        }
        // The same call with another error.
        match self.failed_calls.take_changed(call) {
            Some(action) => self.replace(step, &action),
            None => self.delete(step),
        }
    }

    /// Take what all clients got, so that it is known which step has caused it.
    pub(super) fn look_at_all(&mut self) -> Result<(), Reason> {
        for name in self.clients.names() {
            if let Some(client) = self.clients.get(&name) {
                client.fetch_all(&name, self.backend, self.last_action).map_err(unplayable)?;
            }
        }
        Ok(())
    }

    /// What a client got and no step expects becomes steps.
    pub(super) fn insert_unread(&mut self, name: &str) {
        self.insert(name, usize::MAX);
    }

    pub(super) fn correct_connect(&mut self, step: &Step, connect: &ConnectStep, answer: &Answer, is_resumed: bool) {
        let outcome = match (&connect.outcome, answer.status) {
            (_, ACCEPTED) if is_resumed => Outcome::Resumed,
            (Outcome::Accepted(headers), ACCEPTED) => Outcome::Accepted(correct_headers(headers, answer)),
            (Outcome::Refused { .. } | Outcome::Resumed, ACCEPTED) => Outcome::Accepted(Vec::new()),
            (Outcome::Refused { body: None, .. }, status) => Outcome::Refused { status, body: None },
            (Outcome::Refused { body: Some(body), .. }, status) if body_matches(body, &answer.body) => {
                Outcome::Refused { status, body: Some(body.clone()) }
            }
            (_, status) => Outcome::Refused { status, body: exact(answer.body.trim()) },
        };
        let corrected = ConnectStep { outcome, ..connect.clone() };
        let action = match &step.action {
            Action::Return(_) => Action::Return(corrected),
            _ => Action::Connect(corrected),
        };
        self.replace(step, &action);
    }

    pub(super) fn correct_rows(&mut self, step: &Step, table: &Table, rows: &Rows) {
        if let Action::Sql { database, statement, .. } = &step.action {
            let expected = (!rows.columns.is_empty()).then(|| bless::merge_table(table, rows, &self.captures));
            let (database, statement) = (database.clone(), statement.clone());
            self.replace(step, &Action::Sql { database, statement, expected });
        }
    }

    fn correct_message(&mut self, step: &Step, name: &str, wanted: &Wanted, after: &[Step]) -> Result<(), Reason> {
        let with_file = self.wanted_with_file(wanted)?;
        if let Some(client) = self.clients.get(name)
            && client.pending().next().is_none()
        {
            client.fetch(name, self.backend, Fetch::Wait, self.last_action).map_err(unplayable)?;
        }
        match self.course(name, &with_file, after)? {
            Course::Stayed => self.delete(step),
            Course::Came { after } => {
                self.insert(name, after);
                if let Some(message) = self.take_message(name, step) {
                    // It was found to match, with the same captures.
                    with_file.matches(&message, &mut self.captures);
                }
            }
            Course::Changed => {
                if let Some(message) = self.take_message(name, step) {
                    let action = corrected(name, Some(wanted), message, &mut self.captures);
                    match action {
                        Some(action) => self.replace(step, &action),
                        None => self.delete(step),
                    }
                }
            }
        }
        Ok(())
    }

    /// Compare with all that came, and with what the next steps expect, to tell a new message from a changed one.
    fn course(&mut self, name: &str, expected: &Wanted, after: &[Step]) -> Result<Course, Reason> {
        let later = self.expected_later(name, after)?;
        let Some(client) = self.clients.get(name) else { return Ok(Course::Stayed) };
        let messages: Vec<&Got> = client.messages().collect();
        let matches = |expected: &Wanted, message: &Got| expected.matches(message, &mut self.captures.clone());
        let Some(first) = messages.first() else { return Ok(Course::Stayed) };
        if matches(expected, first) {
            return Ok(Course::Came { after: 0 });
        }
        let position = messages.iter().position(|message| matches(expected, message));
        let more_than_expected = messages.len() > later.len() + 1;
        let fewer_than_expected = messages.len() < later.len() + 1;
        Ok(match position {
            Some(after) if more_than_expected => Course::Came { after },
            _ if fewer_than_expected && later.iter().any(|later| matches(later, first)) => Course::Stayed,
            _ => Course::Changed,
        })
    }

    /// What the same client is expected to get until something is done again.
    fn expected_later(&self, name: &str, after: &[Step]) -> Result<Vec<Wanted>, Reason> {
        let block = after.iter().map(|step| &step.action).take_while(|action| is_expectation(action));
        let expected = block.filter_map(|action| match action {
            Action::Expect { client, expected } if client == name => {
                Some(self.with_file(expected).map(Wanted::Message))
            }
            Action::Hear { client, heard } if client == name => Some(self.with_file_of(heard).map(Wanted::Heard)),
            _ => None,
        });
        expected.collect()
    }

    fn correct_nothing(&mut self, step: &Step, name: &str) -> Result<(), Reason> {
        self.leave_nothing_unread(name)?;
        // Of a connection that is closed, the step would not be true.
        if self.clients.present(name).is_err() {
            self.delete(step);
        }
        Ok(())
    }

    fn correct_close(
        &mut self,
        step: &Step,
        name: &str,
        code: u16,
        reason: Option<&TextPattern>,
    ) -> Result<(), Reason> {
        if let Some(client) = self.clients.get(name) {
            if client.pending().next().is_none() {
                client.fetch(name, self.backend, Fetch::Wait, self.last_action).map_err(unplayable)?;
            }
            let messages = client.messages().count();
            self.insert(name, messages);
        }
        match self.clients.get(name).and_then(|client| client.take()) {
            Some((_, Got::Closed(close))) => {
                let got = close.code;
                self.failed_calls.expect_close(name, got);
                if !close_matches(&close, code, reason) {
                    let kept = reason.filter(|reason| compare::text(reason, &close.reason).is_ok());
                    let reason = kept.cloned().or_else(|| reason.and_then(|_| stable_pattern(&close.reason)));
                    self.replace(step, &Action::Closed { client: name.to_owned(), code: got, reason });
                }
            }
            _ => self.delete(step),
        }
        Ok(())
    }

    /// Insert steps for the next ones that a client got, at most `count`: after what has caused them, and after
    /// what the client got before.
    fn insert(&mut self, name: &str, count: usize) {
        let Some(client) = self.clients.get(name) else { return };
        let mut blessings = Vec::new();
        for _ in 0..count {
            let Some((caused_at, received)) = client.take() else { break };
            if let Got::Closed(close) = &received {
                self.failed_calls.expect_close(name, close.code);
            }
            client.taken_at = client.taken_at.max(caused_at);
            if let Some(action) = corrected(name, None, received, &mut self.captures) {
                blessings.push(Blessing::InsertAfter { line: client.taken_at, text: text(&action) });
            }
        }
        self.blessings.extend(blessings);
    }

    fn take_message(&mut self, name: &str, step: &Step) -> Option<Got> {
        let client = self.clients.get(name)?;
        client.taken_at = step.last_line;
        client.take().map(|(_, got)| got).filter(|got| !matches!(got, Got::Closed(_)))
    }

    fn wanted_with_file(&self, wanted: &Wanted) -> Result<Wanted, Reason> {
        match wanted {
            Wanted::Message(expected) => self.with_file(expected).map(Wanted::Message),
            Wanted::Heard(heard) => self.with_file_of(heard).map(Wanted::Heard),
        }
    }

    pub(super) fn replace(&mut self, step: &Step, action: &Action) {
        self.blessings.push(Blessing::Replace { lines: step.line..=step.last_line, text: text(action) });
    }

    /// What the step expects or does is not possible any more.
    pub(super) fn delete(&mut self, step: &Step) {
        self.blessings.push(Blessing::Delete { lines: step.line..=step.last_line });
    }
}

impl Wanted {
    /// Whether it is this message; then, what it captures is captured.
    fn matches(&self, got: &Got, captures: &mut compare::Captures) -> bool {
        match (self, got) {
            (Self::Message(expected), Got::Message(message)) => compare::message(expected, message, captures).is_ok(),
            (Self::Heard(heard), Got::Spoken(spoken)) => compare::heard(heard, spoken, captures).is_ok(),
            _ => false,
        }
    }
}

/// The step that expects what a client got, with what still matches of what was expected before. None for a message that a
/// transcript cannot expect.
fn corrected(name: &str, before: Option<&Wanted>, got: Got, captures: &mut compare::Captures) -> Option<Action> {
    let client = name.to_owned();
    match got {
        Got::Message(message) => {
            let nothing = Expected::Text(String::new());
            let before = match before {
                Some(Wanted::Message(expected)) => expected,
                _ => &nothing,
            };
            Some(Action::Expect { client, expected: bless::merge_message(before, &message, captures) })
        }
        Got::Spoken(spoken) => {
            let before = match before {
                Some(Wanted::Heard(heard)) => Some(heard),
                _ => None,
            };
            let heard = bless::merge_heard(before, &spoken, captures)?;
            Some(Action::Hear { client, heard })
        }
        Got::Closed(close) => Some(Action::Closed { client, code: close.code, reason: stable_pattern(&close.reason) }),
    }
}

/// A field that is missing now is no longer expected.
fn correct_headers(headers: &[(String, TextPattern)], answer: &Answer) -> Vec<(String, TextPattern)> {
    let corrected = headers.iter().filter_map(|(name, expected)| {
        let values = header_values(answer, name);
        let kept = values.iter().any(|value| compare::text(expected, value).is_ok()).then(|| expected.clone());
        Some((name.clone(), kept.or_else(|| exact(values.first()?))?))
    });
    corrected.collect()
}

/// None for an empty text, which a transcript cannot express.
fn exact(text: &str) -> Option<TextPattern> {
    (!text.is_empty()).then(|| TextPattern::Exact(text.to_owned()))
}

fn text(action: &Action) -> String {
    step_text(action).trim_end_matches('\n').to_owned()
}
