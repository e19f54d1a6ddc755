//! Sentences about what was done, and figures for people.

use std::fmt::Write;

use crate::app::versions::{Outcome, PinOutcome, VersionReport, VersionStatus};
use crate::text::terminal_text;

/// After a deploy or a promotion.
pub(super) fn deployed(outcome: &Outcome) -> String {
    let Outcome { app, version, previous, .. } = outcome;
    let sentence = match (outcome.state, previous) {
        (VersionStatus::Canary, _) => {
            let others = previous.as_ref().map(|previous| format!(" (the others: {previous})")).unwrap_or_default();
            let share = outcome.canary_percent.map(percent).unwrap_or_else(|| "a share".to_owned());
            format!(
                "{app} serves {version} to {share} of connections now{others}; `hassock module promote {app}` gives it \
                 to all, `hassock module rollback {app}` takes it back"
            )
        }
        (VersionStatus::Serving, Some(previous)) if previous == version => format!("{app} serves {version} already"),
        (VersionStatus::Serving, Some(previous)) => {
            format!("{app} serves {version} now (before: {previous}); open connections stay")
        }
        (VersionStatus::Serving, None) => format!("{app} serves {version} now; open connections stay"),
        (other, _) => format!("{app}: {version} is {}", state_word(other)),
    };
    with_notes(&sentence, &outcome.notes)
}

/// After a rollback.
pub(super) fn rolled_back(outcome: &Outcome) -> String {
    let Outcome { app, version, previous, .. } = outcome;
    let sentence = match previous {
        Some(taken) => format!("{app} serves {version}; {taken} was taken back; open connections stay"),
        None => format!("{app} serves {version}; open connections stay"),
    };
    with_notes(&sentence, &outcome.notes)
}

/// After a pin.
pub(super) fn pinned(outcome: &PinOutcome) -> String {
    let PinOutcome { app, swap, pin_for_seconds } = outcome;
    let sentence = match (swap.as_str(), pin_for_seconds) {
        ("live", _) => format!("{app}: a deploy moves open connections to the new version"),
        (_, Some(seconds)) => {
            let span = humantime::format_duration(std::time::Duration::from_secs(*seconds));
            format!("{app}: open connections stay on their version for {span} after a deploy")
        }
        (_, None) => format!("{app}: open connections stay on their version"),
    };
    with_notes(&sentence, &[])
}

fn with_notes(sentence: &str, notes: &[String]) -> String {
    let mut text = terminal_text(sentence).into_owned();
    text.push('\n');
    for note in notes {
        let _ = writeln!(text, "{}", terminal_text(note));
    }
    text
}

/// Where a version stands.
pub(super) fn state(version: &VersionReport) -> String {
    match (version.state, version.canary_percent) {
        (VersionStatus::Canary, Some(share)) => format!("canary {}", percent(share)),
        (state, _) => state_word(state).to_owned(),
    }
}

fn state_word(state: VersionStatus) -> &'static str {
    match state {
        VersionStatus::Serving => "serving",
        VersionStatus::Canary => "canary",
        VersionStatus::Draining => "draining",
        VersionStatus::Kept => "kept",
        VersionStatus::RolledBack => "rolled back",
    }
}

fn percent(share: f64) -> String {
    format!("{share}%")
}

/// How long ago something was, in its largest unit: `42s`, `3m`, `5h`, `12d`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time in microseconds with three digits: `850 ns`, `12.3 µs`, `4.56 ms`, `1.23 s`.
pub(super) fn span(micros: f64) -> String {
    // The limits are where the three digits would become four.
    let (value, unit) = match micros {
        micros if micros < 0.9995 => return format!("{:.0} ns", micros * 1e3),
        micros if micros < 999.5 => (micros, "µs"),
        micros if micros < 999_500.0 => (micros / 1e3, "ms"),
        micros => (micros / 1e6, "s"),
    };
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}
