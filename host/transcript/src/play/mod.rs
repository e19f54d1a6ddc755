//! Playing a transcript: step by step, what clients receive is compared with what the steps expect.
//!
//! [`Mode::Verify`] ends at the first difference. [`Mode::Bless`] notes how the text is to be corrected and goes on.

mod act;
mod client;
mod correct;
mod failed;
mod log;
mod payload;
mod reason;
mod speech;
mod verify;

use std::path::Path;

use self::client::Clients;
use self::failed::{Cause, FailedCalls};
use self::log::Log;
pub use self::reason::{Absence, Close, Failure, Reason, Unread};
use crate::backend::{Backend, Cost};
use crate::bless::Blessing;
use crate::compare::Captures;
use crate::format::{Action, Outcome, Step, Transcript, step as step_text};

#[cfg(test)]
mod tests;

/// What to do about differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The first difference fails the transcript.
    Verify,
    /// What came is right: the transcript is corrected.
    Bless,
}

/// The result.
#[derive(Debug)]
pub struct Played {
    /// Why it failed; none if everything is as expected, or was corrected.
    pub failure: Option<Failure>,
    /// What the calls have cost, if the backend knows it.
    pub cost: Option<Cost>,
    /// Corrections of the transcript's text, for [`apply`](crate::bless::apply). With a failure they end
    /// before it.
    pub blessings: Vec<Blessing>,
}

/// Play a transcript. Its files are relative to `folder`.
pub fn play(transcript: &Transcript, folder: &Path, backend: &mut dyn Backend, mode: Mode) -> Played {
    let mut player = Player {
        backend,
        folder,
        mode,
        clients: Clients::default(),
        captures: Captures::new(),
        failed_calls: FailedCalls::default(),
        log: Log::default(),
        blessings: Vec::new(),
        last_action: 0,
    };
    let failure = player.steps(&transcript.steps).err().map(|failure| *failure);
    let blessings = player.blessings;
    Played { failure, cost: backend.cost(), blessings }
}

struct Player<'a> {
    backend: &'a mut dyn Backend,
    folder: &'a Path,
    mode: Mode,
    clients: Clients,
    captures: Captures,
    failed_calls: FailedCalls,
    log: Log,
    blessings: Vec<Blessing>,
    /// The last line of the last step that did something, and so caused what clients receive after it.
    last_action: usize,
}

impl Player<'_> {
    fn steps(&mut self, steps: &[Step]) -> Result<(), Box<Failure>> {
        let mut rest = steps;
        while let Some((step, after)) = rest.split_first() {
            rest = after;
            self.step(step, after).map_err(|reason| self.failure(step, reason))?;
        }
        let Some(last) = steps.last() else { return Ok(()) };
        for client in self.clients.names() {
            self.leave_nothing_unread(&client).map_err(|reason| self.failure(last, reason))?;
        }
        self.expect_no_failed_call()?;
        match self.backend.loose_end() {
            Some(sentence) => Err(self.failure(last, Reason::LooseEnd(sentence))),
            None => Ok(()),
        }
    }

    fn step(&mut self, step: &Step, after: &[Step]) -> Result<(), Reason> {
        let expectation = is_expectation(&step.action);
        if !expectation {
            self.log.begin_action();
        }
        match (expectation, self.mode) {
            (true, Mode::Verify) => self.verify(&step.action)?,
            (true, Mode::Bless) => self.correct(step, after)?,
            (false, _) => self.act(step)?,
        }
        self.log.passed(self.backend.take_log(), expectation);
        self.collect_failed_calls(step);
        if expects_failure(&step.action) {
            self.log.forget();
        }
        Ok(())
    }

    /// What came before a client goes must have been expected.
    fn leave_nothing_unread(&mut self, name: &str) -> Result<(), Reason> {
        let Some(client) = self.clients.get(name) else { return Ok(()) };
        client.fetch_all(name, self.backend, self.last_action).map_err(unplayable)?;
        if self.mode == Mode::Bless {
            self.insert_unread(name);
            return Ok(());
        }
        match client.take_unread() {
            Some(unread) => Err(Reason::Unread { client: name.to_owned(), unread }),
            None => Ok(()),
        }
    }

    /// Note the calls that failed during a step.
    fn collect_failed_calls(&mut self, step: &Step) {
        let calls = self.backend.take_failed_calls();
        if calls.is_empty() {
            return;
        }
        let cause = Cause::of(step, self.log.lines().to_vec());
        for call in calls {
            let client = call.connection.and_then(|id| self.backend.client_of(id)).map(str::to_owned);
            self.failed_calls.add(call, client, &cause);
        }
    }

    /// Each failed call must have been expected by a step.
    fn expect_no_failed_call(&mut self) -> Result<(), Box<Failure>> {
        match self.mode {
            Mode::Verify => self.failed_calls.failure().map_or(Ok(()), Err),
            Mode::Bless => {
                self.insert_failed_calls();
                Ok(())
            }
        }
    }

    fn failure(&mut self, step: &Step, reason: Reason) -> Box<Failure> {
        let log = self.log.take(self.backend.take_log());
        Box::new(Failure { line: step.line, step: step_text(&step.action).trim_end().to_owned(), reason, log })
    }
}

/// Whether a step only looks at what the steps before it have caused.
fn is_expectation(action: &Action) -> bool {
    match action {
        Action::Expect { .. }
        | Action::Hear { .. }
        | Action::Nothing { .. }
        | Action::Skip { .. }
        | Action::Closed { .. }
        | Action::Failed { .. } => true,
        Action::Connect(_)
        | Action::Return(_)
        | Action::Send { .. }
        | Action::Say { .. }
        | Action::Publish(_)
        | Action::Disconnect { .. }
        | Action::Vanish { .. }
        | Action::Sql { .. }
        | Action::Script { .. }
        | Action::Advance(_)
        | Action::Swap { .. }
        | Action::Fail(_)
        | Action::Set { .. } => false,
    }
}

/// Whether a step expects a failure, so that the log lines about it are of no interest once the step has passed.
fn expects_failure(action: &Action) -> bool {
    match action {
        Action::Closed { .. } | Action::Failed { .. } => true,
        Action::Connect(connect) | Action::Return(connect) => matches!(connect.outcome, Outcome::Refused { .. }),
        _ => false,
    }
}

fn unplayable(error: crate::backend::BackendError) -> Reason {
    Reason::Backend { error, close: None }
}
