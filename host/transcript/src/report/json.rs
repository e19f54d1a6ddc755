//! For programs.

use serde::Serialize;

use super::{Finished, Verdict, people};
use crate::backend::Cost;
use crate::play::Failure;

/// One transcript as one line of JSON.
///
/// ```json
/// {"file":"chat.transcript","outcome":"failed","line":7,"message":"`alice` got no message; …","expected":"hi",
///  "got":"nothing","log":["ERROR …"],"cost":{"calls":1,"cpu_seconds":0.1,"peak_memory":65536,"statements":0},
///  "seconds":0.2}
/// ```
pub fn object(result: &Finished) -> String {
    let (outcome, line, message) = match &result.verdict {
        Verdict::Passed => ("passed", None, None),
        Verdict::Failed(failure) => ("failed", Some(failure.line), Some(failure.reason.to_string())),
        Verdict::Error { line, message, .. } => ("error", *line, Some(message.clone())),
    };
    let failure = match &result.verdict {
        Verdict::Failed(failure) => Some(failure),
        Verdict::Passed | Verdict::Error { .. } => None,
    };
    let mismatch = failure.and_then(|failure| failure.reason.mismatch());
    let object = Object {
        file: &result.file,
        outcome,
        line,
        message,
        expected: mismatch.map(|mismatch| mismatch.expected.as_str()),
        got: mismatch.map(|mismatch| mismatch.got.as_str()),
        log: failure.map(log).unwrap_or_default(),
        cost: result.cost.as_ref().map(figures),
        steps: result.steps,
        corrections: result.corrections,
        seconds: result.time.as_secs_f64(),
    };
    // It has only texts and numbers, which JSON has words for.
    serde_json::to_string(&object).unwrap_or_default()
}

#[derive(Serialize)]
struct Object<'a> {
    file: &'a str,
    outcome: &'static str,
    line: Option<usize>,
    message: Option<String>,
    expected: Option<&'a str>,
    got: Option<&'a str>,
    log: Vec<String>,
    cost: Option<Figures>,
    steps: usize,
    corrections: usize,
    seconds: f64,
}

#[derive(Serialize)]
struct Figures {
    calls: u64,
    cpu_seconds: f64,
    peak_memory: usize,
    statements: u64,
}

fn figures(cost: &Cost) -> Figures {
    let Cost { calls, cpu_time, peak_memory, statements } = *cost;
    Figures { calls, cpu_seconds: cpu_time.as_secs_f64(), peak_memory, statements }
}

fn log(failure: &Failure) -> Vec<String> {
    failure.log.iter().map(people::with_frames).collect()
}
