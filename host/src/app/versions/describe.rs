//! Converts the state of an app's versions to the reports about it.

use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::Version;
use super::report::{AppReport, Outcome, PinOutcome, Refusal, VersionReport, VersionStatus};
use super::table::{Change, Entry, Swap, VersionState};
use crate::app::App;

/// An app and its versions.
pub(crate) fn app(app: &App, path: String) -> AppReport {
    let swap = app.versions.swap(&app.setup());
    app.versions.with(|state| AppReport {
        app: app.name.to_string(),
        path,
        swap: name(swap).to_owned(),
        versions: state.entries.iter().rev().map(version).collect(),
        file_version: state.file.to_string(),
        last_refusal: state.last_refusal.clone().map(|(when, refusal)| Refusal { age_seconds: age(when), ..refusal }),
        counts: state.counts.clone(),
    })
}

/// The result of an operator's choice about open connections.
pub(crate) fn pin(app: &str, swap: Swap) -> PinOutcome {
    let pin_for_seconds = match swap {
        Swap::Live => None,
        Swap::Pin(time) => Some(time.as_secs()),
    };
    PinOutcome { app: app.to_owned(), swap: name(swap).to_owned(), pin_for_seconds }
}

/// The result of a change. `file` is where the app's module is read from at the next start.
pub(crate) fn change(app: &App, change: &Change, file: &Path) -> Outcome {
    let mut outcome = no_change(app, &change.version);
    outcome.previous = change.previous.as_ref().map(|version| version.id.to_string());
    outcome.notes = Vec::new();
    if outcome.state == VersionStatus::Serving && app.versions.file() != change.version.id {
        outcome.notes.push(format!(
            "{} contains another version. Copy this version there; otherwise, a restart serves the other one.",
            file.display()
        ));
    }
    outcome
}

/// Nothing had to be changed.
pub(crate) fn no_change(app: &App, version: &Arc<Version>) -> Outcome {
    let share = app.versions.with(|state| {
        let entry = state.entries.iter().find(|entry| entry.version.id == version.id);
        entry.and_then(|entry| canary_percent(&entry.state))
    });
    Outcome {
        app: app.name.to_string(),
        version: version.id.to_string(),
        previous: Some(version.id.to_string()),
        state: if share.is_some() { VersionStatus::Canary } else { VersionStatus::Serving },
        canary_percent: share,
        notes: vec!["This version already serves; nothing has changed.".to_owned()],
    }
}

fn version(entry: &Entry) -> VersionReport {
    let stats = &entry.version.stats;
    let times = stats.times();
    VersionReport {
        version: entry.version.id.to_string(),
        state: state(entry),
        canary_percent: canary_percent(&entry.state),
        reason: match &entry.state {
            VersionState::RolledBack { reason } => Some(reason.clone()),
            _ => None,
        },
        age_seconds: age(entry.deployed),
        connections: stats.connections(),
        calls: times.count,
        failures: stats.failures(),
        mean_micros: to_nanos(times.mean_micros()),
        p99_micros: to_nanos(times.quantile_micros(0.99)),
        by_export: stats.by_export(),
    }
}

fn state(entry: &Entry) -> VersionStatus {
    match entry.state {
        VersionState::Serving => VersionStatus::Serving,
        VersionState::Canary(_) => VersionStatus::Canary,
        VersionState::Pinned { .. } => VersionStatus::Draining,
        VersionState::Kept if entry.version.stats.connections() > 0 => VersionStatus::Draining,
        VersionState::Kept => VersionStatus::Kept,
        VersionState::RolledBack { .. } => VersionStatus::RolledBack,
    }
}

fn canary_percent(state: &VersionState) -> Option<f64> {
    match state {
        VersionState::Canary(share) => Some(share.as_percent()),
        _ => None,
    }
}

/// The name of a swap in the config.
pub(crate) fn name(swap: Swap) -> &'static str {
    match swap {
        Swap::Live => "live",
        Swap::Pin(_) => "pin",
    }
}

/// More digits than the clock provides carry no information, and do not survive a round trip through JSON.
fn to_nanos(micros: f64) -> f64 {
    (micros * 1e3).round() / 1e3
}

fn age(since: Instant) -> u64 {
    since.elapsed().as_secs()
}
