//! Steps that expect something: whether it came.

use super::act::shown;
use super::client::{Fetch, Got};
use super::reason::{Absence, Close, Reason};
use super::{Player, unplayable};
use crate::compare::{self, Mismatch, written};
use crate::format::{Action, Expected, Heard, TextPattern, heard as written_heard};

impl Player<'_> {
    pub(super) fn verify(&mut self, action: &Action) -> Result<(), Reason> {
        match action {
            Action::Expect { client, expected } => self.expect_message(client, expected),
            Action::Hear { client, heard } => self.expect_heard(client, heard),
            Action::Nothing { client } => self.expect_nothing(client),
            Action::Skip { client } => self.skip(client),
            Action::Closed { client, code, reason } => self.expect_close(client, *code, reason.as_ref()),
            Action::Failed { call, error } => self.expect_failed_call(call.as_deref(), error.as_ref()),
            _ => Ok(()),
        }
    }

    fn expect_failed_call(&mut self, call: Option<&str>, error: Option<&TextPattern>) -> Result<(), Reason> {
        let taken = self.failed_calls.take(call, error);
        taken.map_err(|mismatch| Reason::NoFailedCall { mismatch, delay: self.backend.delay() })
    }

    /// What the client has got so far is not looked at.
    pub(super) fn skip(&mut self, name: &str) -> Result<(), Reason> {
        let line = self.last_action;
        if let Some(client) = self.clients.get(name) {
            client.fetch_all(name, self.backend, line).map_err(unplayable)?;
            client.skip();
        }
        Ok(())
    }

    /// The message with the bytes of its file.
    pub(super) fn with_file(&self, expected: &Expected) -> Result<Expected, Reason> {
        match expected {
            Expected::File(path) => self.read(path).map(Expected::Binary),
            other => Ok(other.clone()),
        }
    }

    /// The same of a message with a header.
    pub(super) fn with_file_of(&self, heard: &Heard) -> Result<Heard, Reason> {
        let body = heard.body.as_ref().map(|body| self.with_file(body)).transpose()?;
        Ok(Heard { header: heard.header.clone(), body })
    }

    fn expect_message(&mut self, client: &str, expected: &Expected) -> Result<(), Reason> {
        let expected = self.with_file(expected)?;
        let shown = written(&expected);
        let compared = match self.next_message(client, &shown)? {
            Got::Message(message) => compare::message(&expected, &message, &mut self.captures),
            other => Err(Mismatch::new(shown, other.shown())),
        };
        compared.map_err(|mismatch| Reason::Message { client: client.to_owned(), mismatch })
    }

    fn expect_heard(&mut self, client: &str, heard: &Heard) -> Result<(), Reason> {
        let expected = self.with_file_of(heard)?;
        let shown = written_heard(heard);
        let compared = match self.next_message(client, &shown)? {
            Got::Spoken(spoken) => compare::heard(&expected, &spoken, &mut self.captures),
            other => Err(Mismatch::new(shown, other.shown())),
        };
        compared.map_err(|mismatch| Reason::Message { client: client.to_owned(), mismatch })
    }

    /// The next message of a client that is expected to get one.
    fn next_message(&mut self, client: &str, expected: &str) -> Result<Got, Reason> {
        match self.next(client) {
            Ok(Some(Got::Closed(close))) | Err(Reason::Gone { absence: Absence::Closed(close), .. }) => {
                Err(closed_instead(client, close, expected))
            }
            Ok(Some(message)) => Ok(message),
            Ok(None) => {
                let mismatch = Mismatch::new(expected, "nothing");
                Err(Reason::NoMessage { client: client.to_owned(), mismatch, delay: self.backend.delay() })
            }
            Err(reason) => Err(reason),
        }
    }

    fn expect_nothing(&mut self, name: &str) -> Result<(), Reason> {
        let line = self.last_action;
        let client = self.clients.present(name)?;
        client.fetch_all(name, self.backend, line).map_err(unplayable)?;
        match client.take_unread() {
            Some(unread) => Err(Reason::NotNothing { client: name.to_owned(), unread }),
            None => Ok(()),
        }
    }

    fn expect_close(&mut self, client: &str, code: u16, reason: Option<&TextPattern>) -> Result<(), Reason> {
        let client = client.to_owned();
        let expected = expected_close(code, reason);
        match self.next(&client)? {
            None => {
                let mismatch = Mismatch::new(expected, "nothing");
                Err(Reason::NotClosed { client, mismatch, delay: self.backend.delay() })
            }
            Some(message @ (Got::Message(_) | Got::Spoken(_))) => {
                Err(Reason::MessageInstead { client, mismatch: Mismatch::new(expected, message.shown()) })
            }
            Some(Got::Closed(close)) => match close_matches(&close, code, reason) {
                true => {
                    self.failed_calls.expect_close(&client, code);
                    Ok(())
                }
                false => {
                    let mismatch = Mismatch::new(expected, format!("closed {close}"));
                    Err(Reason::Closed { client, mismatch })
                }
            },
        }
    }

    /// What a client got next.
    fn next(&mut self, name: &str) -> Result<Option<Got>, Reason> {
        let line = self.last_action;
        let client = self.clients.present(name)?;
        if client.pending().next().is_none() {
            client.fetch(name, self.backend, Fetch::Wait, line).map_err(unplayable)?;
        }
        Ok(client.take().map(|(_, received)| received))
    }
}

/// Whether a connection was closed as expected.
pub(super) fn close_matches(close: &Close, code: u16, reason: Option<&TextPattern>) -> bool {
    close.code == code && reason.is_none_or(|reason| compare::text(reason, &close.reason).is_ok())
}

fn expected_close(code: u16, reason: Option<&TextPattern>) -> String {
    match reason {
        Some(reason) => format!("closed {code} {}", shown(reason)),
        None => format!("closed {code}"),
    }
}

fn closed_instead(client: &str, close: Close, expected: &str) -> Reason {
    let mismatch = Mismatch::new(expected, format!("closed {close}"));
    Reason::ClosedInstead { client: client.to_owned(), close: Box::new(close), mismatch }
}
