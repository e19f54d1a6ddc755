//! Playing many transcripts, several at the same time, each on a stage of its own.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::testkit::{TestError, TestHostBuilder};
use crate::transcript::bless;
use crate::transcript::format::{Action, Fault, ParseError, Transcript, parse};
use crate::transcript::play::{Mode, Played, play};
use crate::transcript::report::{Finished, Verdict};
use crate::transcript::stage::{Inside, Stage, StageError, Url, Wire, inside_only};

/// Where transcripts are played.
#[derive(Clone)]
pub(super) enum Place {
    /// In a laboratory with the apps of a config.
    App(TestHostBuilder),
    /// In a laboratory with one module, which is granted whatever database a transcript names.
    Module(TestHostBuilder),
    /// Against a running host. An expectation waits that long.
    Running(Url, Duration),
}

/// Why a transcript is not played.
enum Obstacle {
    Unreadable(std::io::Error),
    Parse(ParseError),
    Empty,
    Host(TestError),
    Stage(StageError),
    InsideOnly { line: usize, step: &'static str },
    Unwritable(std::io::Error),
}

/// Play the files, as many at the same time as there are processors. `report` gets each when it has finished.
pub(super) fn play_all(
    files: &[PathBuf],
    place: &Place,
    mode: Mode,
    report: impl Fn(&Finished) + Sync,
) -> Vec<Finished> {
    let (next, finished) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(files.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, file)) = claim(files, &next) {
                    let result = play_file(file, place, mode);
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

fn play_file(file: &Path, place: &Place, mode: Mode) -> Finished {
    let began = Instant::now();
    let played = try_play(file, place, mode);
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
        Err(obstacle) => finished.verdict = obstacle.verdict(),
    }
    finished
}

fn try_play(file: &Path, place: &Place, mode: Mode) -> Result<(usize, Played), Obstacle> {
    let text = fs::read_to_string(file).map_err(Obstacle::Unreadable)?;
    let transcript = parse(&text).map_err(Obstacle::Parse)?;
    if transcript.steps.is_empty() {
        return Err(Obstacle::Empty);
    }
    let mut stage = place.stage(&transcript)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut played = play(&transcript, folder, &mut *stage, mode);
    // Of a transcript that was not played to its end, only a part is known.
    if played.failure.is_some() {
        played.blessings.clear();
    }
    if !played.blessings.is_empty() {
        let corrected = bless::apply(&text, played.blessings.clone());
        match corrected == text {
            true => played.blessings.clear(),
            false => fs::write(file, corrected).map_err(Obstacle::Unwritable)?,
        }
    }
    Ok((transcript.steps.len(), played))
}

impl Place {
    /// A stage for one transcript, in the state that it begins with.
    fn stage(&self, transcript: &Transcript) -> Result<Box<dyn Stage>, Obstacle> {
        let mut builder = match self {
            Self::App(builder) => builder.clone(),
            Self::Module(builder) => granted(builder.clone(), transcript).map_err(Obstacle::Host)?,
            Self::Running(url, patience) => {
                refuse_inside_only(transcript)?;
                return Ok(Box::new(Wire::new(url.clone(), *patience).map_err(Obstacle::Stage)?));
            }
        };
        if let Some(seed) = transcript.seed {
            builder = builder.seed(seed);
        }
        if let Some(now) = transcript.clock {
            builder = builder.now(now);
        }
        Ok(Box::new(Inside::new(builder.build().map_err(Obstacle::Host)?)))
    }
}

/// Nothing is sent to a running host if the rest of the transcript can not be.
fn refuse_inside_only(transcript: &Transcript) -> Result<(), Obstacle> {
    let refused = transcript.steps.iter().find_map(|step| Some((step.line, inside_only(&step.action)?)));
    refused.map_or(Ok(()), |(line, step)| Err(Obstacle::InsideOnly { line, step }))
}

fn granted(mut builder: TestHostBuilder, transcript: &Transcript) -> Result<TestHostBuilder, TestError> {
    let named: BTreeSet<&String> = transcript.steps.iter().filter_map(|step| database(&step.action)).collect();
    for database in named {
        builder = builder.database(database)?;
    }
    Ok(builder)
}

fn database(action: &Action) -> Option<&String> {
    match action {
        Action::Sql { database, .. }
        | Action::Script { database, .. }
        | Action::Fail(Fault::Statement { database, .. }) => Some(database),
        _ => None,
    }
}

impl Obstacle {
    fn verdict(self) -> Verdict {
        let (line, column, message) = match self {
            Self::Unreadable(error) => (None, None, format!("cannot be read: {error}")),
            Self::Unwritable(error) => (None, None, format!("cannot be corrected: {error}")),
            Self::Parse(error) => (Some(error.line), Some(error.column), error.message),
            Self::Empty => (None, None, "has no step; begin with `connect NAME /PATH`".to_owned()),
            Self::Host(error) => (None, None, error.to_string()),
            Self::Stage(error) => (None, None, error.to_string()),
            Self::InsideOnly { line, step } => {
                (Some(line), None, format!("`{step}` needs the inside of the host: play this transcript without --url"))
            }
        };
        Verdict::Error { line, column, message }
    }
}
