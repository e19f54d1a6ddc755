//! What transcripts are played against, and a backend for each of them.

use std::collections::BTreeSet;
use std::time::Duration;

use hassock_transcript::Backend;
use hassock_transcript::format::{Action, Fault, Transcript};

use super::in_process::InProcess;
use super::remote::{Publisher, Remote, Url, in_process_only, needs_publisher};
use super::suite::SetupError;
use crate::testkit::TestHostBuilder;

/// What transcripts are played against.
#[derive(Clone)]
pub(super) enum Target {
    /// A host in this process with the apps of a config.
    App(TestHostBuilder),
    /// A host in this process with one module, which is granted each database that a transcript names.
    Module(TestHostBuilder),
    /// A running host.
    Running(RunningHost),
}

/// A running host that transcripts are played against.
#[derive(Clone)]
pub(super) struct RunningHost {
    pub(super) url: Url,
    /// How long an expectation waits.
    pub(super) wait: Duration,
    pub(super) publisher: Option<Publisher>,
}

impl Target {
    /// A backend for one transcript, in the state with which the transcript begins.
    pub(super) fn backend(&self, transcript: &Transcript) -> Result<Box<dyn Backend>, SetupError> {
        let mut builder = match self {
            Self::App(builder) => builder.clone(),
            Self::Module(builder) => granted(builder.clone(), transcript),
            Self::Running(host) => {
                refuse_in_process_only(transcript)?;
                return Ok(Box::new(host.backend(transcript)?));
            }
        };
        if let Some(seed) = transcript.seed {
            builder = builder.seed(seed);
        }
        if let Some(now) = transcript.clock {
            builder = builder.now(now);
        }
        Ok(Box::new(InProcess::new(builder.build().map_err(SetupError::Host)?)))
    }
}

impl RunningHost {
    fn backend(&self, transcript: &Transcript) -> Result<Remote, SetupError> {
        let remote = Remote::new(self.url.clone(), self.wait).map_err(SetupError::Backend)?;
        let publishes = transcript.steps.iter().find(|step| needs_publisher(&step.action));
        match (&self.publisher, publishes) {
            (Some(publisher), _) => Ok(remote.publishing(publisher.clone())),
            (None, None) => Ok(remote),
            (None, Some(step)) => Err(SetupError::NoPublisher { line: step.line }),
        }
    }
}

/// Send nothing to a running host if it cannot play the whole transcript.
fn refuse_in_process_only(transcript: &Transcript) -> Result<(), SetupError> {
    let refused = transcript.steps.iter().find_map(|step| Some((step.line, in_process_only(&step.action)?)));
    refused.map_or(Ok(()), |(line, step)| Err(SetupError::InProcessOnly { line, step }))
}

fn granted(builder: TestHostBuilder, transcript: &Transcript) -> TestHostBuilder {
    let named: BTreeSet<&String> = transcript.steps.iter().filter_map(|step| database(&step.action)).collect();
    named.into_iter().fold(builder, |builder, database| builder.database(database))
}

fn database(action: &Action) -> Option<&String> {
    match action {
        Action::Sql { database, .. }
        | Action::Script { database, .. }
        | Action::Fail(Fault::Statement { database, .. }) => Some(database),
        _ => None,
    }
}
