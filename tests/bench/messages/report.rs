//! The figures, as a table in Markdown for people and as JSON for programs.

use serde_json::{Value, json};

use super::case::Case;
use super::load::Round;

const NOT_MEASURED: &str = "–";

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
            "| case | unit | bare | hassock | hassock / bare | target | µs of CPU: bare | hassock | bare / hassock |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }

    /// Add and print what the rounds of the two servers have measured.
    pub fn add(&mut self, case: Case, pairs: &[(Round, Round)]) {
        let bare = spread(pairs.iter().map(|(bare, _)| bare.value));
        let hassock = spread(pairs.iter().map(|(_, hassock)| hassock.value));
        let ratio = spread(pairs.iter().map(|(bare, hassock)| hassock.value / bare.value));
        let cpu = |round: &Round| round.cpu.unwrap_or(f64::NAN);
        let bare_cpu = spread(pairs.iter().map(|(bare, _)| cpu(bare)));
        let hassock_cpu = spread(pairs.iter().map(|(_, hassock)| cpu(hassock)));
        let cpu_ratio = spread(pairs.iter().map(|(bare, hassock)| cpu(bare) / cpu(hassock)));
        println!(
            "| {} | {} | {:.0} | {:.0} | {} | {} | {} | {} | {} |",
            case.name(),
            case.unit(),
            bare.median,
            hassock.median,
            ratio.text(),
            case.target(),
            bare_cpu.median_text(),
            hassock_cpu.median_text(),
            cpu_ratio.text(),
        );
        self.0.push(json!({
            "case": case.name(),
            "unit": case.unit(),
            "target": case.target(),
            "bare": bare.json(),
            "hassock": hassock.json(),
            "ratio": ratio.json(),
            "cpu_us": { "bare": bare_cpu.json(), "hassock": hassock_cpu.json(), "ratio": cpu_ratio.json() },
        }));
    }

    pub fn json(&self) -> String {
        json!(self.0).to_string()
    }
}

impl Spread {
    fn text(&self) -> String {
        match self.median.is_nan() {
            true => NOT_MEASURED.to_owned(),
            false => format!("{:.2} ({:.2}–{:.2})", self.median, self.low, self.high),
        }
    }

    fn median_text(&self) -> String {
        match self.median.is_nan() {
            true => NOT_MEASURED.to_owned(),
            false => format!("{:.2}", self.median),
        }
    }

    /// Figures that were not measured are null.
    fn json(&self) -> Value {
        json!({ "median": self.median, "low": self.low, "high": self.high })
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() - 1) * part / 4];
    Spread { low: at(1), median: at(2), high: at(3) }
}
