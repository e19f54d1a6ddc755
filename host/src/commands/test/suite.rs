//! Playing many transcripts, several at the same time, each on a backend of its own.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use hassock_transcript::BackendError;
use hassock_transcript::bless;
use hassock_transcript::format::{ParseError, parse};
use hassock_transcript::play::{Mode, Played, play};
use hassock_transcript::report::{Finished, Verdict};
use parking_lot::Mutex;

use super::remote::NO_PUBLISHER;
use super::target::Target;
use crate::testkit::TestError;

/// Why a transcript could not be played.
pub(super) enum SetupError {
    Unreadable(std::io::Error),
    Parse(ParseError),
    Empty,
    Host(TestError),
    Backend(BackendError),
    InProcessOnly { line: usize, step: &'static str },
    NoPublisher { line: usize },
    Unwritable(std::io::Error),
}

/// Play the files, as many at the same time as there are processors. `report` gets each finished transcript.
pub(super) fn play_all(
    files: &[PathBuf],
    target: &Target,
    mode: Mode,
    report: impl Fn(&Finished) + Sync,
) -> Vec<Finished> {
    let (next, finished) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(files.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, file)) = claim(files, &next) {
                    let result = play_file(file, target, mode);
                    let mut finished = finished.lock();
                    report(&result);
                    finished.push((number, result));
                }
            });
        }
    });
    let mut finished = finished.into_inner();
    finished.sort_by_key(|(number, _)| *number);
    finished.into_iter().map(|(_, result)| result).collect()
}

fn claim<'a>(files: &'a [PathBuf], next: &AtomicUsize) -> Option<(usize, &'a PathBuf)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    files.get(number).map(|file| (number, file))
}

fn play_file(file: &Path, target: &Target, mode: Mode) -> Finished {
    let began = Instant::now();
    let played = try_play(file, target, mode);
    let mut finished = Finished {
        file: file.display().to_string(),
        steps: 0,
        corrections: 0,
        verdict: Verdict::Passed,
        cost: None,
        time: began.elapsed(),
    };
    match played {
        Ok((steps, Played { failure, cost, blessings })) => {
            (finished.steps, finished.cost, finished.corrections) = (steps, cost, blessings.len());
            if let Some(failure) = failure {
                finished.verdict = Verdict::Failed(failure);
            }
        }
        Err(error) => finished.verdict = error.verdict(),
    }
    finished
}

fn try_play(file: &Path, target: &Target, mode: Mode) -> Result<(usize, Played), SetupError> {
    let text = fs::read_to_string(file).map_err(SetupError::Unreadable)?;
    let transcript = parse(&text).map_err(SetupError::Parse)?;
    if transcript.steps.is_empty() {
        return Err(SetupError::Empty);
    }
    let mut backend = target.backend(&transcript)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut played = play(&transcript, folder, &mut *backend, mode);
    // Of a transcript that was not played to its end, only a part of the corrections is known.
    if played.failure.is_some() {
        played.blessings.clear();
    }
    if !played.blessings.is_empty() {
        let corrected = bless::apply(&text, played.blessings.clone());
        match corrected == text {
            true => played.blessings.clear(),
            false => fs::write(file, corrected).map_err(SetupError::Unwritable)?,
        }
    }
    Ok((transcript.steps.len(), played))
}

impl SetupError {
    fn verdict(self) -> Verdict {
        let (line, column, message) = match self {
            Self::Unreadable(error) => (None, None, format!("cannot be read: {error}")),
            Self::Unwritable(error) => (None, None, format!("cannot be corrected: {error}")),
            Self::Parse(error) => (Some(error.line), Some(error.column), error.message),
            Self::Empty => (None, None, "has no step; begin with `connect NAME /PATH`".to_owned()),
            Self::Host(error) => (None, None, error.to_string()),
            Self::Backend(error) => (None, None, error.to_string()),
            Self::InProcessOnly { line, step } => (
                Some(line),
                None,
                format!("`{step}` works only inside this process: play this transcript without --url"),
            ),
            Self::NoPublisher { line } => (Some(line), None, NO_PUBLISHER.to_owned()),
        };
        Verdict::Error { line, column, message }
    }
}
