//! Calls of modules that failed, and the steps that expect them.

use std::rc::Rc;

use super::reason::{Failure, Reason};
use crate::backend::{FailedCall, LogLine};
use crate::compare::{self, Mismatch};
use crate::format::{Action, Step, TextPattern, step as step_text};
use crate::stable::stable_pattern;

/// The failed calls of a transcript that no `failed` step has taken yet.
#[derive(Default)]
pub(super) struct FailedCalls {
    entries: Vec<Entry>,
    /// For each `fail call` whose failure has not come yet: the app, or none if there is only one.
    injected: Vec<Option<String>>,
}

struct Entry {
    call: FailedCall,
    /// The client to whose connection the call belongs.
    client: Option<String>,
    /// Another step expects the failure already: `closed`, `refused` or `fail call`.
    is_expected: bool,
    cause: Rc<Cause>,
}

/// The step after which calls failed.
pub(super) struct Cause {
    pub(super) line: usize,
    pub(super) last_line: usize,
    pub(super) step: String,
    /// What the host had logged by then.
    pub(super) log: Vec<LogLine>,
}

impl Cause {
    pub(super) fn of(step: &Step, log: Vec<LogLine>) -> Rc<Self> {
        let text = step_text(&step.action).trim_end().to_owned();
        Rc::new(Self { line: step.line, last_line: step.last_line, step: text, log })
    }
}

impl FailedCalls {
    /// A `fail call` step makes the next call of an app fail.
    pub(super) fn inject(&mut self, app: Option<&str>) {
        self.injected.push(app.map(str::to_owned));
    }

    /// A call has failed. `client` is that of its connection; a connection without a client was refused, which the
    /// step `connect` has checked.
    pub(super) fn add(&mut self, call: FailedCall, client: Option<String>, cause: &Rc<Cause>) {
        let was_refused = call.connection.is_some() && client.is_none();
        let injected = self.injected.iter().position(|app| app.as_ref().is_none_or(|app| *app == call.app));
        if let Some(at) = injected {
            self.injected.remove(at);
        }
        let is_expected = was_refused || injected.is_some();
        self.entries.push(Entry { call, client, is_expected, cause: Rc::clone(cause) });
    }

    /// A step expects that the connection of a client was closed with a code, and so the call that closed it.
    pub(super) fn expect_close(&mut self, client: &str, code: u16) {
        for entry in &mut self.entries {
            let is_cause = entry.client.as_deref() == Some(client) && entry.call.close_code == Some(code);
            entry.is_expected |= is_cause;
        }
    }

    /// Take a failed call that a `failed` step expects: rather one that no other step expects.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn take(&mut self, call: Option<&str>, error: Option<&TextPattern>) -> Result<(), Mismatch> {
        let matches = |entry: &Entry| {
            call.is_none_or(|call| entry.call.call == call)
                && error.is_none_or(|error| compare::text(error, &entry.call.error).is_ok())
        };
        let unexpected = self.entries.iter().position(|entry| !entry.is_expected && matches(entry));
        if let Some(at) = unexpected.or_else(|| self.entries.iter().position(matches)) {
            self.entries.remove(at);
            return Ok(());
        }
        let expected = Action::Failed { call: call.map(str::to_owned), error: error.cloned() };
        let failed: Vec<String> = self.entries.iter().map(|entry| step_text(&exact_step(&entry.call))).collect();
        let got = if failed.is_empty() { "nothing".to_owned() } else { failed.join("\n") };
        Err(Mismatch::new(step_text(&expected), got))
    }

    /// Take the first failed call that no step expects, as the step that would expect it.
    pub(super) fn take_unexpected(&mut self) -> Option<(Rc<Cause>, Action)> {
        let at = self.entries.iter().position(|entry| !entry.is_expected)?;
        Some(self.take_as_step(at))
    }

    /// Take a failed call that a `failed` step would expect if the error were another one: preferably one that no other
    /// step expects.
    pub(super) fn take_changed(&mut self, call: Option<&str>) -> Option<Action> {
        let is_same_call = |entry: &Entry| call.is_none_or(|call| entry.call.call == call);
        let unexpected = self.entries.iter().position(|entry| !entry.is_expected && is_same_call(entry));
        let at = unexpected.or_else(|| self.entries.iter().position(is_same_call))?;
        Some(self.take_as_step(at).1)
    }

    fn take_as_step(&mut self, at: usize) -> (Rc<Cause>, Action) {
        let entry = self.entries.remove(at);
        let error = stable_pattern(&entry.call.error);
        (entry.cause, Action::Failed { call: Some(entry.call.call), error })
    }

    /// The failure of a transcript with a failed call that no step expects; none if there is no such call.
    pub(super) fn failure(&self) -> Option<Box<Failure>> {
        let Entry { call, cause, .. } = self.entries.iter().find(|entry| !entry.is_expected)?;
        let mut log = cause.log.clone();
        // A flood of other lines may have displaced the line that has the backtrace.
        if !log.iter().any(|line| line.text.contains(&call.error)) {
            log.push(log_line(call));
        }
        let reason = Reason::FailedCall { call: Box::new(call.clone()) };
        Some(Box::new(Failure { line: cause.line, step: cause.step.clone(), reason, log }))
    }
}

fn exact_step(call: &FailedCall) -> Action {
    Action::Failed { call: Some(call.call.clone()), error: Some(TextPattern::Exact(call.error.clone())) }
}

/// As the host logs it.
fn log_line(call: &FailedCall) -> LogLine {
    let FailedCall { call, app, version, error, backtrace, .. } = call;
    let backtrace = if backtrace.is_empty() { String::new() } else { format!(" backtrace={backtrace:?}") };
    LogLine { level: "ERROR", text: format!("{error} app={app} version={version} call={call}{backtrace}") }
}
