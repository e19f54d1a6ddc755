//! Playing a transcript: step by step, what comes compared with what is expected.
//!
//! [`Mode::Verify`] ends at the first difference. [`Mode::Bless`] notes how the text is to be corrected and goes on.

mod act;
mod client;
mod correct;
mod log;
mod payload;
mod reason;
mod verify;

use std::path::Path;

use self::client::Clients;
use self::log::Log;
pub use self::reason::{Absence, Close, Failure, Reason, Unread};
use super::bless::Blessing;
use super::compare::Captures;
use super::format::{Action, Outcome, Step, Transcript, step as step_text};
use super::stage::{Cost, Stage};

#[cfg(test)]
mod tests;

/// What to do about differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The first one fails the transcript.
    Verify,
    /// What came is right: correct the transcript.
    Bless,
}

/// How it went.
#[derive(Debug)]
pub struct Played {
    /// Why it ended early; none if all is as expected, or was corrected.
    pub failure: Option<Failure>,
    /// What it has cost the module, where that is known.
    pub cost: Option<Cost>,
    /// Corrections of the transcript's text, for [`apply`](super::bless::apply). With a failure they end
    /// before it.
    pub blessings: Vec<Blessing>,
}

/// Play a transcript. Its files are relative to `folder`.
pub fn play(transcript: &Transcript, folder: &Path, stage: &mut dyn Stage, mode: Mode) -> Played {
    let mut player = Player {
        stage,
        folder,
        mode,
        clients: Clients::default(),
        captures: Captures::new(),
        log: Log::default(),
        blessings: Vec::new(),
        last_action: 0,
    };
    let failure = player.steps(&transcript.steps).err().map(|failure| *failure);
    let blessings = player.blessings;
    Played { failure, cost: stage.cost(), blessings }
}

struct Player<'a> {
    stage: &'a mut dyn Stage,
    folder: &'a Path,
    mode: Mode,
    clients: Clients,
    captures: Captures,
    log: Log,
    blessings: Vec<Blessing>,
    /// The last line of the last step that did something: whatever comes was caused by it.
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
        match self.stage.loose_end() {
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
        self.log.passed(self.stage.take_log(), expectation);
        if is_disaster(&step.action) {
            self.log.forget();
        }
        Ok(())
    }

    /// What came before a client goes must have been expected.
    fn leave_nothing_unread(&mut self, name: &str) -> Result<(), Reason> {
        let Some(client) = self.clients.get(name) else { return Ok(()) };
        client.fetch_all(name, self.stage, self.last_action).map_err(stage)?;
        if self.mode == Mode::Bless {
            self.insert_unread(name);
            return Ok(());
        }
        match client.take_unread() {
            Some(unread) => Err(Reason::Unread { client: name.to_owned(), unread }),
            None => Ok(()),
        }
    }

    fn failure(&mut self, step: &Step, reason: Reason) -> Box<Failure> {
        let log = self.log.take(self.stage.take_log());
        Box::new(Failure { line: step.line, step: step_text(&step.action).trim_end().to_owned(), reason, log })
    }
}

/// Whether a step only looks at what the steps before it have caused.
fn is_expectation(action: &Action) -> bool {
    matches!(action, Action::Expect { .. } | Action::Nothing { .. } | Action::Skip { .. } | Action::Closed { .. })
}

/// Whether a step that passes was about something going wrong, so that what was logged about it is in order.
fn is_disaster(action: &Action) -> bool {
    match action {
        Action::Closed { .. } => true,
        Action::Connect(connect) => matches!(connect.outcome, Outcome::Refused { .. }),
        _ => false,
    }
}

fn stage(error: super::stage::StageError) -> Reason {
    Reason::Stage { error, close: None }
}
