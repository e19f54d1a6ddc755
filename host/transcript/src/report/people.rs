//! For people: with ANSI colours, which the writer removes where they are not wanted.

use std::time::Duration;

use super::figures::{bytes, count, span};
use super::{Finished, Verdict};
use crate::backend::{Cost, LogLine};
use crate::diff::{diff, green, red};
use crate::text::plain;

/// Separates the columns of a table and the figures of a line.
const GAP: &str = "  ";

/// Begins the field with the module's frames in a line of the log.
const BACKTRACE: &str = " backtrace=";

/// The line of a finished transcript.
pub fn line(result: &Finished) -> String {
    let file = plain(&result.file);
    match &result.verdict {
        Verdict::Failed(_) => format!("{} {file}\n", red("FAILED")),
        Verdict::Error { .. } => format!("{} {file}\n", red("ERROR")),
        Verdict::Passed => {
            format!("{} {file}{GAP}{}{GAP}({})\n", green("ok"), figures(result), span(result.time))
        }
    }
}

/// A failure in full; empty if there is none.
pub fn failure(result: &Finished) -> String {
    let mut text = match result.verdict {
        Verdict::Passed => return String::new(),
        Verdict::Failed(_) | Verdict::Error { .. } => format!("{}\n", sentence(result)),
    };
    if let Verdict::Failed(failure) = &result.verdict {
        text.push_str(&indented("  | ", &plain(&failure.step)));
        if let Some(mismatch) = failure.reason.mismatch() {
            text.push_str(&indented("  ", &diff(mismatch)));
        }
        text.push_str(&log(&failure.log));
    }
    text
}

/// `FILE:LINE: sentence`; empty if it passed.
pub fn sentence(result: &Finished) -> String {
    let file = &result.file;
    plain(&match &result.verdict {
        Verdict::Passed => String::new(),
        Verdict::Failed(failure) => format!("{file}:{}: {}", failure.line, failure.reason),
        Verdict::Error { line: Some(line), column: Some(column), message } => {
            format!("{file}:{line}:{column}: {message}")
        }
        Verdict::Error { line: Some(line), message, .. } => format!("{file}:{line}: {message}"),
        Verdict::Error { message, .. } => format!("{file}: {message}"),
    })
}

/// A table of the cost of each transcript; empty if no cost is known.
pub fn costs(results: &[Finished]) -> String {
    let known = results.iter().filter_map(|result| Some((result, result.cost?)));
    let rows: Vec<[String; 5]> = known.map(|(result, cost)| row(&result.file, &cost)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["TRANSCRIPT", "CALLS", "CPU", "MEMORY", "STATEMENTS"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(heads).chain(rows).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| aligned(row, widths)).collect()
}

/// The last line.
pub fn summary(results: &[Finished], time: Duration) -> String {
    let number = |wanted: fn(&Verdict) -> bool| results.iter().filter(|result| wanted(&result.verdict)).count();
    let passed = number(|verdict| matches!(verdict, Verdict::Passed));
    let failed = number(|verdict| matches!(verdict, Verdict::Failed(_)));
    let errors = number(|verdict| matches!(verdict, Verdict::Error { .. }));
    let corrected = |result: &&Finished| matches!(result.verdict, Verdict::Passed) && result.corrections > 0;
    let corrected = results.iter().filter(corrected).count();
    let mut parts = vec![match corrected {
        0 => format!("{passed} passed"),
        corrected => format!("{passed} passed ({corrected} of them corrected)"),
    }];
    parts.extend((failed > 0 || errors == 0).then(|| format!("{failed} failed")));
    parts.extend((errors > 0).then(|| format!("{errors} could not be played")));
    format!("{} in {:.2}s\n", parts.join(", "), time.as_secs_f64())
}

fn figures(result: &Finished) -> String {
    let mut figures = vec![count(result.steps as u64, "step")];
    if let Some(cost) = &result.cost {
        figures.push(count(cost.calls, "call"));
        figures.push(format!("{} CPU", span(cost.cpu_time)));
        figures.push(bytes(cost.peak_memory));
        figures.push(count(cost.statements, "statement"));
    }
    figures.extend((result.corrections > 0).then(|| count(result.corrections as u64, "correction")));
    figures.join(", ")
}

fn row(file: &str, cost: &Cost) -> [String; 5] {
    let Cost { calls, cpu_time, peak_memory, statements } = cost;
    [plain(file), calls.to_string(), span(*cpu_time), bytes(*peak_memory), statements.to_string()]
}

/// Names are aligned left, figures right.
fn aligned(row: &[String; 5], widths: [usize; 5]) -> String {
    let [file, figures @ ..] = row;
    let [width, widths @ ..] = widths;
    let figures = figures.iter().zip(widths).map(|(cell, width)| format!("{GAP}{cell:>width$}"));
    format!("{file:<width$}{}\n", figures.collect::<String>())
}

fn log(lines: &[LogLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.iter().map(|line| indented("    ", &plain(&with_frames(line))));
    format!("  log:\n{}", lines.collect::<String>())
}

/// A line of the log, with the frames of its backtrace one below the other.
pub(super) fn with_frames(line: &LogLine) -> String {
    let LogLine { level, text } = line;
    let Some((before, frames)) = text.split_once(BACKTRACE) else { return format!("{level:<5} {text}") };
    // A value with blanks is quoted; further fields may follow it.
    let (frames, after) = match frames.strip_prefix('"').and_then(|frames| frames.split_once('"')) {
        Some((frames, after)) => (frames, after),
        None => (frames, ""),
    };
    let frames = frames.split(" <- ").enumerate().map(|(depth, frame)| match depth {
        0 => format!("\n  at {frame}"),
        _ => format!("\n  <- {frame}"),
    });
    format!("{level:<5} {before}{after}{}", frames.collect::<String>())
}

fn indented(indent: &str, text: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}").trim_end().to_owned() + "\n").collect()
}
