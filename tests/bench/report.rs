//! The figures, as a table in Markdown for people and as JSON for programs.

use serde_json::{Value, json};

use crate::case::{Case, Judgement};
use crate::contest::Turn;
use crate::load::Round;

const NOT_MEASURED: &str = "–";

/// The percentiles of times in the JSON.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

#[derive(Default)]
pub struct Report(Vec<Value>);

/// A median and the quartiles around it.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Report {
    pub fn print_head(&self) {
        println!(
            "| case | unit | compared with | that | hassock | result | target | reached | µs of CPU: that | hassock |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
    }

    /// Add and print what the turns have measured. `other` is the name of a server that was compared instead of ours.
    pub fn add(&mut self, case: Case, other: Option<&str>, turns: &[Turn]) {
        let reference = spread(turns.iter().filter_map(|turn| turn.reference.as_ref()).map(|round| round.value));
        let hassock = spread(turns.iter().map(|turn| turn.hassock.value));
        let judgement = if other.is_some() { Judgement::Ratio } else { case.judgement() };
        let result = spread(turns.iter().map(|turn| judgement.result(turn)));
        let cpu = |round: &Round| round.cpu.unwrap_or(f64::NAN);
        let reference_cpu = spread(turns.iter().filter_map(|turn| turn.reference.as_ref()).map(cpu));
        let hassock_cpu = spread(turns.iter().map(|turn| cpu(&turn.hassock)));
        let (against, reached) = (other.unwrap_or(case.reference()), judgement.is_reached(result.median));
        println!(
            "| {} | {} | {against} | {} | {} | {} | {} | {} | {} | {} |",
            case.name(),
            case.unit(),
            number(reference.median),
            number(hassock.median),
            judgement.text(&result),
            judgement.target(),
            reached.map_or(NOT_MEASURED, |reached| if reached { "yes" } else { "no" }),
            number(reference_cpu.median),
            number(hassock_cpu.median),
        );
        self.0.push(json!({
            "case": case.name(),
            "unit": case.unit(),
            "against": against,
            "target": judgement.target(),
            "reached": reached,
            "reference": reference.json(),
            "hassock": hassock.json(),
            "result": result.json(),
            "cpu_us": { "reference": reference_cpu.json(), "hassock": hassock_cpu.json() },
            "times_us": {
                "reference": times(turns.iter().filter_map(|turn| turn.reference.as_ref())),
                "hassock": times(turns.iter().map(|turn| &turn.hassock)),
            },
        }));
    }

    pub fn json(&self) -> String {
        json!(self.0).to_string()
    }
}

impl Judgement {
    fn result(self, turn: &Turn) -> f64 {
        let (reference, hassock) = (turn.reference.as_ref().map_or(f64::NAN, |round| round.value), turn.hassock.value);
        match self {
            Self::RatioAtLeast(_) | Self::RatioAtMost(_) | Self::Ratio => hassock / reference,
            Self::DifferenceAtMost(_) => hassock - reference,
            Self::AtMost(_) => hassock,
        }
    }

    fn is_reached(self, result: f64) -> Option<bool> {
        match self {
            Self::RatioAtLeast(bound) => Some(result >= bound),
            Self::RatioAtMost(bound) | Self::DifferenceAtMost(bound) | Self::AtMost(bound) => Some(result <= bound),
            Self::Ratio => None,
        }
    }

    fn target(self) -> String {
        match self {
            Self::RatioAtLeast(bound) => format!("≥ {bound} ×"),
            Self::RatioAtMost(bound) => format!("≤ {bound} ×"),
            Self::DifferenceAtMost(bound) => format!("≤ +{bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::Ratio => NOT_MEASURED.to_owned(),
        }
    }

    fn text(self, result: &Spread) -> String {
        let Spread { low, median, high } = *result;
        match self {
            Self::RatioAtLeast(_) | Self::RatioAtMost(_) | Self::Ratio => {
                format!("{median:.2} × ({low:.2}–{high:.2})")
            }
            Self::DifferenceAtMost(_) => format!("+{median:.1} ({low:.1}–{high:.1})"),
            Self::AtMost(_) => format!("{} ({}–{})", number(median), number(low), number(high)),
        }
    }
}

impl Spread {
    /// Figures that were not measured are null.
    fn json(&self) -> Value {
        json!({ "median": self.median, "low": self.low, "high": self.high })
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values.get(values.len().saturating_sub(1) * part / 4).copied().unwrap_or(f64::NAN);
    Spread { low: at(1), median: at(2), high: at(3) }
}

/// With about three digits.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => NOT_MEASURED.to_owned(),
        value if value < 100.0 => format!("{value:.2}"),
        value => format!("{value:.0}"),
    }
}

/// The percentiles of all rounds together, in microseconds. Null if no times were measured.
fn times<'a>(rounds: impl Iterator<Item = &'a Round>) -> Value {
    let all = rounds.filter_map(|round| round.times.clone()).reduce(|mut all, times| {
        all.add(times).expect("the same kind");
        all
    });
    let Some(all) = all else { return Value::Null };
    let at = |percentile: &f64| (percentile.to_string(), json!(all.value_at_percentile(*percentile) as f64 / 1e3));
    PERCENTILES.iter().map(at).collect()
}
