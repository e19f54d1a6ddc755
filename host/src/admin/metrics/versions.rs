//! Metrics of the versions of apps.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::family::Family;
use crate::app::versions::{AppReport, CallsReport, VersionReport, VersionStatus};

#[derive(Debug)]
pub(super) struct Scrape(pub(super) Vec<AppReport>);

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
        let errors = self.exports().flat_map(|(app, version, calls)| {
            let labels = move |kind| vec![("app", app), ("version", version), ("export", calls.export), ("kind", kind)];
            calls.errors.iter().map(move |(kind, count)| (labels(*kind), *count))
        });
        let help = "Calls that did not return, or returned an error, by kind.";
        Family::new("call_errors", help).counters(encoder, errors)?;
        let times = self.exports().map(|(app, version, calls)| {
            (vec![("app", app), ("version", version), ("export", calls.export)], &calls.times)
        });
        Family::seconds("call_duration", "How long calls took.").histograms(encoder, times)
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

    /// The calls of each exported function of each version.
    fn exports(&self) -> impl Iterator<Item = (&str, &str, &CallsReport)> {
        let versions = self.0.iter().flat_map(|report| report.versions.iter().map(move |version| (report, version)));
        versions.flat_map(|(report, version)| {
            version.by_export.iter().map(move |calls| (report.app.as_str(), version.version.as_str(), calls))
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
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::app::versions::Counts;
    use crate::histogram::Times;

    /// An app with a canary and a version that serves.
    pub(in super::super) fn report() -> AppReport {
        let serving = VersionReport {
            version: "ba9876543210".to_owned(),
            state: VersionStatus::Serving,
            canary_percent: None,
            connections: 40,
            calls: 0,
            failures: 0,
            by_export: Vec::new(),
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
        let times = Times { count: 1_200, sum_micros: 14_760.0, below: vec![(12.0, 600), (80.0, 1_200)] };
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
            by_export: vec![CallsReport { export: "open", times, errors: vec![("trap", 3)] }],
        }
    }
}
