//! What a report says, in the OpenMetrics text format. Nothing is counted here: the versions count, and a
//! scrape only writes their figures down.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::host_metrics::MemoryScrape;
use crate::app::versions::{AppReport, VersionReport, VersionStatus};
use crate::memory_budget::MemoryReport;

/// Of the text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the histogram's buckets in microseconds: powers of four, from what an echo takes to
/// twice the longest call that the defaults allow. Always the same ones, because a scraper subtracts one
/// scrape from the next; and few, because each is a time series of every version.
const BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// The metrics of the host and of some apps.
pub(super) fn text(reports: Vec<AppReport>, memory: MemoryReport) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("hassock");
    registry.register_collector(Box::new(MemoryScrape(memory)));
    registry.register_collector(Box::new(Scrape(reports)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(Vec<AppReport>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.versions(&mut encoder)?;
        self.calls(&mut encoder)?;
        self.apps(&mut encoder)
    }
}

impl Scrape {
    fn versions(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Where a version stands.";
        let family = encoder.encode_descriptor("version", help, None, MetricType::Info)?;
        self.each_version(family, |version, mut sample| sample.encode_info(&[("state", state(version.state))]))?;
        let help = "Connections that a version serves now.";
        let family = encoder.encode_descriptor("connections", help, None, MetricType::Gauge)?;
        self.each_version(family, |version, sample| ConstGauge::new(version.connections).encode(sample))?;
        let help = "The share of connections that a canary gets, 0 to 1.";
        let family = encoder.encode_descriptor("canary_share", help, None, MetricType::Gauge)?;
        self.each_version(family, |version, sample| match version.canary_percent {
            Some(percent) => ConstGauge::new(percent / 100.0).encode(sample),
            None => Ok(()),
        })
    }

    fn calls(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Calls that a version has served.";
        let family = encoder.encode_descriptor("calls", help, None, MetricType::Counter)?;
        self.each_version(family, |version, sample| ConstCounter::new(version.calls).encode(sample))?;
        let help = "Calls that trapped or ran into a limit, and failed migrations.";
        let family = encoder.encode_descriptor("call_failures", help, None, MetricType::Counter)?;
        self.each_version(family, |version, sample| ConstCounter::new(version.failures).encode(sample))?;
        let help = "How long calls took.";
        let unit = Some(&Unit::Seconds);
        let family = encoder.encode_descriptor("call_duration", help, unit, MetricType::Histogram)?;
        self.each_version(family, |version, mut sample| {
            let sum = version.calls as f64 * version.mean_micros / MICROS;
            sample.encode_histogram::<NoLabelSet>(sum, version.calls, &buckets(version), None)
        })
    }

    fn apps(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Versions that went through the gate and got traffic.";
        let family = encoder.encode_descriptor("deploys", help, None, MetricType::Counter)?;
        self.each_app(family, |report| vec![(vec![], report.counts.deploys)])?;
        let help = "Versions that the gate refused.";
        let family = encoder.encode_descriptor("deploy_refusals", help, None, MetricType::Counter)?;
        self.each_app(family, |report| {
            report.counts.refusals.iter().map(|(reason, count)| (vec![("reason", reason.as_str())], *count)).collect()
        })?;
        let help = "Versions that were taken back.";
        let family = encoder.encode_descriptor("rollbacks", help, None, MetricType::Counter)?;
        self.each_app(family, |report| {
            let counts = &report.counts;
            vec![
                (vec![("by", "host")], counts.automatic_rollbacks),
                (vec![("by", "operator")], counts.operator_rollbacks),
            ]
        })?;
        let help = "Attachments that a new version was to take over.";
        let family = encoder.encode_descriptor("migrations", help, None, MetricType::Counter)?;
        self.each_app(family, |report| {
            let counts = &report.counts;
            vec![(vec![("outcome", "ok")], counts.migrations), (vec![("outcome", "failed")], counts.failed_migrations)]
        })
    }

    /// A sample for each version, labelled with it.
    fn each_version(
        &self,
        mut family: MetricEncoder<'_>,
        encode: impl Fn(&VersionReport, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        for report in &self.0 {
            for version in &report.versions {
                let labels = [("app", &report.app), ("version", &version.version)];
                encode(version, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Counters of each app, with labels of their own beside its name.
    fn each_app(&self, mut family: MetricEncoder<'_>, counts: impl Fn(&AppReport) -> Vec<Count<'_>>) -> fmt::Result {
        for report in &self.0 {
            for (labels, count) in counts(report) {
                let labels = ([("app", report.app.as_str())], labels);
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Labels and the count that they belong to.
type Count<'a> = (Vec<(&'static str, &'a str)>, u64);

/// How many calls fell into each bucket, in seconds. The version's own histogram is finer and cumulative. Of
/// a bound that it does not have, the next lower one counts: no call looks faster than it was.
fn buckets(version: &VersionReport) -> Vec<(f64, u64)> {
    let at_most = |bound: f64| {
        let below = version.histogram.iter().take_while(|(micros, _)| *micros <= bound);
        // Calls end while the report is written; the buckets must not say more than the count.
        below.last().map_or(0, |(_, count)| *count).min(version.calls)
    };
    let mut before = 0;
    let mut each = |seconds: f64, cumulative: u64| {
        let count = cumulative.saturating_sub(before);
        before = before.max(cumulative);
        (seconds, count)
    };
    let mut buckets: Vec<_> = BUCKETS.iter().map(|bound| each(bound / MICROS, at_most(*bound))).collect();
    buckets.push(each(f64::INFINITY, version.calls));
    buckets
}

fn state(state: VersionStatus) -> &'static str {
    match state {
        VersionStatus::Serving => "serving",
        VersionStatus::Canary => "canary",
        VersionStatus::Draining => "draining",
        VersionStatus::Kept => "kept",
        VersionStatus::RolledBack => "rolled-back",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::app::versions::Counts;
    use crate::memory_budget::{MemoryBudget, Use};

    /// An app with a canary and a version that serves.
    fn report() -> AppReport {
        let serving = VersionReport {
            version: "ba9876543210".to_owned(),
            state: VersionStatus::Serving,
            canary_percent: None,
            connections: 40,
            calls: 0,
            failures: 0,
            ..version()
        };
        AppReport {
            app: "chat".to_owned(),
            path: "/chat".to_owned(),
            swap: "live".to_owned(),
            versions: vec![version(), serving],
            file_version: "0123456789ab".to_owned(),
            last_refusal: None,
            counts: Counts {
                deploys: 5,
                refusals: BTreeMap::from([("imports".to_owned(), 2)]),
                automatic_rollbacks: 1,
                operator_rollbacks: 0,
                migrations: 7,
                failed_migrations: 1,
            },
        }
    }

    /// A canary.
    fn version() -> VersionReport {
        VersionReport {
            version: "0123456789ab".to_owned(),
            state: VersionStatus::Canary,
            canary_percent: Some(10.0),
            reason: None,
            age_seconds: 190,
            connections: 4,
            calls: 1_200,
            failures: 3,
            mean_micros: 12.3,
            p99_micros: 80.0,
            histogram: Vec::new(),
        }
    }

    fn of(reports: Vec<AppReport>) -> Result<String, fmt::Error> {
        let memory = MemoryBudget::new(1 << 30);
        let _kept = memory.keep(Use::Attachment, vec![0; 5_000]).unwrap();
        memory.note_closed();
        text(reports, memory.report())
    }

    fn lines(text: &str, begin: &str) -> Vec<String> {
        text.lines().filter(|line| line.starts_with(begin)).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_figure_is_a_sample_under_its_name() {
        let text = of(vec![report()]).unwrap();
        for expected in [
            "hassock_version_info{state=\"canary\",app=\"chat\",version=\"0123456789ab\"} 1",
            "hassock_version_info{state=\"serving\",app=\"chat\",version=\"ba9876543210\"} 1",
            "hassock_connections{app=\"chat\",version=\"0123456789ab\"} 4",
            "hassock_canary_share{app=\"chat\",version=\"0123456789ab\"} 0.1",
            "hassock_calls_total{app=\"chat\",version=\"0123456789ab\"} 1200",
            "hassock_call_failures_total{app=\"chat\",version=\"0123456789ab\"} 3",
            "hassock_call_duration_seconds_count{app=\"chat\",version=\"0123456789ab\"} 1200",
            "hassock_deploys_total{app=\"chat\"} 5",
            "hassock_deploy_refusals_total{app=\"chat\",reason=\"imports\"} 2",
            "hassock_rollbacks_total{app=\"chat\",by=\"host\"} 1",
            "hassock_rollbacks_total{app=\"chat\",by=\"operator\"} 0",
            "hassock_migrations_total{app=\"chat\",outcome=\"ok\"} 7",
            "hassock_migrations_total{app=\"chat\",outcome=\"failed\"} 1",
            "hassock_memory_budget_bytes 1073741824",
            "hassock_memory_used_bytes{use=\"attachment\"} 5000",
            "hassock_memory_closes_total 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "missing {expected:?} in:\n{text}");
        }
        assert_eq!(lines(&text, "hassock_canary_share").len(), 1, "only a canary has a share");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn every_family_says_first_what_it_is() {
        let text = of(vec![report()]).unwrap();
        let mut family = "";
        for line in text.lines().take_while(|line| *line != "# EOF") {
            match line.strip_prefix("# ") {
                Some(meta) if meta.starts_with("HELP ") => family = meta.split(' ').nth(1).unwrap(),
                Some(meta) => assert_eq!(meta.split(' ').nth(1), Some(family), "{line}"),
                None => {
                    assert!(["{", "_", " "].iter().any(|end| line.starts_with(&format!("{family}{end}"))), "{line}")
                }
            }
        }
        assert_eq!(lines(&text, "# TYPE").len(), lines(&text, "# HELP").len());
        assert_eq!(lines(&text, "# HELP").len(), 13);
    }

    #[test]
    fn the_histogram_has_few_buckets_and_no_call_looks_faster_than_it_was() {
        let histogram =
            vec![(0.5, 10), (3.0, 20), (5.0, 500), (60.0, 900), (100.0, 1_100), (300.0, 1_199), (9e7, 1_200)];
        let version = VersionReport { histogram, mean_micros: 50.0, ..version() };
        let text = of(vec![AppReport { versions: vec![version], ..report() }]).unwrap();
        let buckets: Vec<(String, u64)> = lines(&text, "hassock_call_duration_seconds_bucket")
            .iter()
            .map(|line| {
                let (labels, count) = line.split_once("} ").unwrap();
                let bound = labels.split("le=\"").nth(1).unwrap().split('"').next().unwrap();
                (bound.to_owned(), count.parse().unwrap())
            })
            .collect();
        let find = |bound: &str| buckets.iter().find(|(name, _)| name == bound).map(|(_, count)| *count);
        assert_eq!(find("0.000001"), Some(10));
        assert_eq!(find("0.000004"), Some(20));
        assert_eq!(find("0.000016"), Some(500));
        assert_eq!(find("0.000064"), Some(900));
        assert_eq!(find("0.000256"), Some(1_100));
        assert_eq!(find("0.001024"), Some(1_199));
        assert_eq!(find("67.108864"), Some(1_199));
        assert_eq!(find("+Inf"), Some(1_200));
        assert!(buckets.len() <= 16 && buckets.is_sorted_by_key(|(_, count)| *count), "{buckets:?}");
        assert!(
            text.contains("hassock_call_duration_seconds_sum{app=\"chat\",version=\"0123456789ab\"} 0.06\n"),
            "{text}"
        );
    }

    #[test]
    fn a_histogram_that_is_ahead_of_the_count_is_cut() {
        let version = VersionReport { histogram: vec![(1.0, 8), (4.0, 15)], calls: 10, ..version() };
        let cumulative: u64 = buckets(&version).iter().map(|(_, count)| count).sum();
        assert_eq!(cumulative, 10);
        let empty = VersionReport { histogram: Vec::new(), calls: 0, ..version };
        assert!(buckets(&empty).iter().all(|(_, count)| *count == 0));
    }

    #[test]
    fn a_name_cannot_break_the_format() {
        let text = of(vec![AppReport { app: "a\"b\\c\nd".to_owned(), ..report() }]).unwrap();
        assert!(text.contains(r#"hassock_deploys_total{app="a\"b\\c\nd"} 5"#), "{text}");
    }
}
