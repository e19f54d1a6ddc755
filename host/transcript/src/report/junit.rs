//! Results in the format of JUnit, which CI systems read.

use std::io::{self, Write};
use std::time::Duration;

use anstream::adapter::strip_str;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Finished, Verdict, failure, sentence};
use crate::backend::Cost;

#[cfg(test)]
mod tests;

/// The name of the report and of its only suite, and the class of each test case.
const SUITE: &str = "hassock";

/// Write a report: each transcript is a test case.
///
/// # Errors
/// If it cannot be written.
pub fn write(results: &[Finished], time: Duration, to: impl Write) -> io::Result<()> {
    let mut suite = TestSuite::new(SUITE);
    suite.set_time(time).add_test_cases(results.iter().map(case));
    let mut report = Report::new(SUITE);
    report.set_time(time).add_test_suite(suite);
    report.serialize(to).map_err(io::Error::other)
}

fn case(result: &Finished) -> TestCase {
    let file = legal(&result.file);
    let mut case = TestCase::new(file.as_str(), status(result));
    case.set_classname(SUITE).set_time(result.time);
    case.extra.insert("file".into(), file.into());
    if let Some(cost) = &result.cost {
        case.add_properties(properties(cost));
    }
    case
}

fn status(result: &Finished) -> TestCaseStatus {
    match &result.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed(failed) => {
            let text = strip_str(&failure(result)).to_string();
            problem(NonSuccessKind::Failure, "mismatch", &failed.reason.to_string(), &text)
        }
        Verdict::Error { .. } => {
            let message = sentence(result);
            problem(NonSuccessKind::Error, "error", &message, &message)
        }
    }
}

fn problem(kind: NonSuccessKind, name: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(legal(message)).set_type(name).set_description(legal(text));
    status
}

fn properties(cost: &Cost) -> [Property; 4] {
    [
        Property::new("calls", cost.calls.to_string()),
        Property::new("cpu_seconds", format!("{:.6}", cost.cpu_time.as_secs_f64())),
        Property::new("peak_memory_bytes", cost.peak_memory.to_string()),
        Property::new("statements", cost.statements.to_string()),
    ]
}

/// XML cannot express some characters, not even with an escape.
fn legal(text: &str) -> String {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is_legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
