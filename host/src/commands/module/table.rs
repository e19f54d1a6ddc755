//! The table of `hassock module list`.

use super::words::{age, span, state};
use crate::app::versions::{AppReport, Refusal, VersionReport, VersionStatus};
use crate::text::terminal_text;

/// A column: its name, and on which side its cells stand.
type Column = (&'static str, Side);

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

const COLUMNS: [Column; 8] = [
    ("VERSION", Side::Left),
    ("AGE", Side::Right),
    ("STATE", Side::Left),
    ("CONNECTIONS", Side::Right),
    ("CALLS", Side::Right),
    ("FAILURES", Side::Right),
    ("MEAN", Side::Right),
    ("P99", Side::Right),
];

/// Before each line that belongs to an app.
const INDENT: &str = "  ";

/// All apps, an empty line between them.
pub(super) fn apps(reports: &[AppReport]) -> String {
    reports.iter().map(app).collect::<Vec<_>>().join("\n")
}

fn app(report: &AppReport) -> String {
    let mut lines = vec![format!("{}  {}  swap {}", report.app, report.path, report.swap)];
    lines.extend(versions(&report.versions));
    lines.extend(report.last_refusal.as_ref().map(refusal));
    lines.extend(file_note(report));
    lines.iter().map(|line| format!("{}\n", terminal_text(line))).collect()
}

/// The table, with the reason below each version that has one.
fn versions(versions: &[VersionReport]) -> Vec<String> {
    let rows: Vec<[String; COLUMNS.len()]> = versions.iter().map(row).collect();
    let heads = COLUMNS.map(|(name, _)| name.to_owned());
    let mut widths = [0; COLUMNS.len()];
    for row in rows.iter().chain([&heads]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = vec![line(&heads, &widths)];
    for (row, version) in rows.iter().zip(versions) {
        lines.push(line(row, &widths));
        lines.extend(version.reason.as_ref().map(|reason| indented(&format!("{INDENT}because {reason}"))));
    }
    lines
}

fn row(version: &VersionReport) -> [String; COLUMNS.len()] {
    let (mean, p99) = match version.calls {
        0 => ("-".to_owned(), "-".to_owned()),
        _ => (span(version.mean_micros), span(version.p99_micros)),
    };
    [
        version.version.clone(),
        age(version.age_seconds),
        state(version),
        version.connections.to_string(),
        version.calls.to_string(),
        version.failures.to_string(),
        mean,
        p99,
    ]
}

fn line(cells: &[String; COLUMNS.len()], widths: &[usize; COLUMNS.len()]) -> String {
    let mut line = String::new();
    for ((cell, width), (_, side)) in cells.iter().zip(widths).zip(COLUMNS) {
        line.push_str(INDENT);
        match side {
            Side::Left => line.push_str(&format!("{cell:<width$}")),
            Side::Right => line.push_str(&format!("{cell:>width$}")),
        }
    }
    line.trim_end().to_owned()
}

fn refusal(refusal: &Refusal) -> String {
    let Refusal { age_seconds, kind, message } = refusal;
    indented(&format!("refused {} ago ({kind}): {message}", age(*age_seconds)))
}

/// What an operator would not expect of the next start.
fn file_note(report: &AppReport) -> Option<String> {
    let serving = report.versions.iter().find(|version| version.state == VersionStatus::Serving)?;
    let file = &report.file_version;
    (!file.is_empty() && *file != serving.version)
        .then(|| format!("{INDENT}the module's file holds {file}: a restart would serve that"))
}

/// Indented, and where it goes on in another line a little more.
fn indented(text: &str) -> String {
    format!("{INDENT}{}", text.replace('\n', &format!("\n{INDENT}{INDENT}")))
}
