//! What transcripts are played against, and a backend for each of them.

use std::collections::BTreeSet;
use std::time::Duration;

use hassock_transcript::Backend;
use hassock_transcript::format::{Action, Fault, Transcript};

use super::in_process::InProcess;
use super::remote::{Remote, Url, in_process_only};
use super::suite::SetupError;
use crate::testkit::TestHostBuilder;

/// What transcripts are played against.
#[derive(Clone)]
pub(super) enum Target {
    /// A host in this process with the apps of a config.
    App(TestHostBuilder),
    /// A host in this process with one module, which is granted each database that a transcript names.
    Module(TestHostBuilder),
    /// A running host. An expectation waits for this time.
    Running(Url, Duration),
}

impl Target {
    /// A backend for one transcript, in the state with which the transcript begins.
    pub(super) fn backend(&self, transcript: &Transcript) -> Result<Box<dyn Backend>, SetupError> {
        let mut builder = match self {
            Self::App(builder) => builder.clone(),
            Self::Module(builder) => granted(builder.clone(), transcript),
            Self::Running(url, patience) => {
                refuse_in_process_only(transcript)?;
                return Ok(Box::new(Remote::new(url.clone(), *patience).map_err(SetupError::Backend)?));
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
