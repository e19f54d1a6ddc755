//! Metrics in the OpenMetrics text format. Nothing is counted here: the parts of the host count, and a scrape only
//! writes their figures down.
//!
//! Names and units are those of Prometheus: base units, `_total` for counters, `process_…` for what the system knows of the
//! process. Each bound of the host has a metric for what is used of it.

mod api;
mod apps;
mod databases;
mod family;
mod host;
mod process;
mod versions;

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::app::AppFigures;
use crate::app::versions::AppReport;
use crate::database::DatabaseReport;
use crate::deploy::{ApiFigures, HostFigures};

/// Of the text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the host knows at a scrape.
pub(super) struct Snapshot {
    pub(super) versions: Vec<AppReport>,
    pub(super) apps: Vec<AppFigures>,
    pub(super) databases: Vec<DatabaseReport>,
    pub(super) host: HostFigures,
    /// None if the host has no API.
    pub(super) api: Option<ApiFigures>,
}

/// The metrics.
pub(super) fn text(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::Scrape));
    let own = registry.sub_registry_with_prefix("hassock");
    own.register_collector(Box::new(host::Scrape(snapshot.host)));
    own.register_collector(Box::new(api::Scrape(snapshot.api)));
    own.register_collector(Box::new(apps::Scrape(snapshot.apps)));
    own.register_collector(Box::new(versions::Scrape(snapshot.versions)));
    own.register_collector(Box::new(databases::Scrape(snapshot.databases)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use regex::Regex;
    use tokio::runtime::Builder;

    use super::*;
    use crate::api_counts::ApiReport;
    use crate::app::{HistoryReport, TrafficReport};
    use crate::database::{OutboxReport, PoolReport};
    use crate::histogram::Times;
    use crate::memory_budget::{MemoryBudget, Use};

    /// A host with one app and one database.
    fn snapshot() -> Snapshot {
        let memory = MemoryBudget::new(1 << 30);
        let _kept = memory.keep(Use::Attachment, vec![0; 5_000]).unwrap();
        memory.note_closed();
        let traffic = TrafficReport {
            received_messages: 7,
            received_bytes: 70,
            sent_messages: 8,
            sent_bytes: 80,
            closed: vec![("client", "1000".to_owned(), 3)],
            slow: 1,
            away: 2,
        };
        let figures = AppFigures {
            app: "chat".to_owned(),
            handshakes: vec![("accepted", 5)],
            traffic,
            ending: 1,
            topics: 2,
            subscriptions: 3,
            history: HistoryReport {
                messages: 3,
                bytes: 500,
                trimmed: vec![("count", 4)],
                recovered: 5,
                gaps: vec![("age", 1)],
            },
            timers: 4,
            instances: 5,
            instances_limit: 64,
            calls: 6,
            outbox_bytes: 700,
            fullest_outbox: 25,
        };
        let database = DatabaseReport {
            database: "main".to_owned(),
            pools: vec![PoolReport { access: "read-write", busy: 2, limit: 16 }],
            times: Times { count: 2, sum_micros: 3e6, below: vec![(5e5, 0), (2e6, 2)] },
            errors: vec![("pool-exhausted", 9)],
            outbox: Some(OutboxReport {
                published: 11,
                removed: 2,
                strangers: 3,
                statements: 40,
                oldest_seconds: 0.5,
                leads: true,
            }),
        };
        let host = HostFigures {
            memory: memory.report(),
            handshakes: vec![("not-found", 2)],
            spans: vec![("sent", 10), ("lost", 1)],
            connections: 12,
            connections_limit: 10_000,
        };
        let report = ApiReport {
            requests: vec![("publish".into(), 200, 6)],
            times: Times { count: 6, sum_micros: 3e6, below: vec![(5e5, 4), (2e6, 6)] },
            connections: 2,
        };
        let api = Some(ApiFigures { report, connections_limit: 256 });
        Snapshot {
            versions: vec![versions::tests::report()],
            apps: vec![figures],
            databases: vec![database],
            host,
            api,
        }
    }

    #[test]
    fn every_figure_is_a_sample_under_its_name() {
        let text = text(snapshot()).unwrap();
        for expected in [
            "hassock_history_messages{app=\"chat\"} 3",
            "hassock_history_bytes{app=\"chat\"} 500",
            "hassock_history_trimmed_total{app=\"chat\",reason=\"count\"} 4",
            "hassock_recoveries_total{app=\"chat\",outcome=\"age\"} 1",
            "hassock_recoveries_total{app=\"chat\",outcome=\"recovered\"} 5",
            "hassock_version_info{state=\"canary\",app=\"chat\",version=\"0123456789ab\"} 1",
            "hassock_version_info{state=\"serving\",app=\"chat\",version=\"ba9876543210\"} 1",
            "hassock_connections{app=\"chat\",version=\"0123456789ab\"} 4",
            "hassock_canary_share{app=\"chat\",version=\"0123456789ab\"} 0.1",
            "hassock_calls_total{app=\"chat\",version=\"0123456789ab\"} 1200",
            "hassock_call_failures_total{app=\"chat\",version=\"0123456789ab\"} 3",
            "hassock_call_errors_total{app=\"chat\",version=\"0123456789ab\",export=\"open\",kind=\"trap\"} 3",
            "hassock_call_duration_seconds_count{app=\"chat\",version=\"0123456789ab\",export=\"open\"} 1200",
            "hassock_deploys_total{app=\"chat\"} 5",
            "hassock_deploy_refusals_total{app=\"chat\",reason=\"imports\"} 2",
            "hassock_rollbacks_total{app=\"chat\",by=\"host\"} 1",
            "hassock_rollbacks_total{app=\"chat\",by=\"operator\"} 0",
            "hassock_migrations_total{app=\"chat\",outcome=\"ok\"} 7",
            "hassock_migrations_total{app=\"chat\",outcome=\"failed\"} 1",
            "hassock_memory_budget_bytes 1073741824",
            "hassock_memory_used_bytes{use=\"attachment\"} 5000",
            "hassock_memory_closes_total 1",
            "hassock_handshakes_total{app=\"chat\",outcome=\"accepted\"} 5",
            "hassock_unrouted_handshakes_total{outcome=\"not-found\"} 2",
            "hassock_spans_total{outcome=\"lost\"} 1",
            "hassock_api_requests_total{operation=\"publish\",status=\"200\"} 6",
            "hassock_api_request_duration_seconds_count 6",
            "hassock_api_request_duration_seconds_sum 3.0",
            "hassock_api_connections 2",
            "hassock_api_connections_limit 256",
            "hassock_open_connections 12",
            "hassock_connections_limit 10000",
            "hassock_messages_received_total{app=\"chat\"} 7",
            "hassock_received_bytes_total{app=\"chat\"} 70",
            "hassock_messages_sent_total{app=\"chat\"} 8",
            "hassock_sent_bytes_total{app=\"chat\"} 80",
            "hassock_closes_total{app=\"chat\",by=\"client\",code=\"1000\"} 3",
            "hassock_slow_clients_total{app=\"chat\"} 1",
            "hassock_away_connections{app=\"chat\"} 2",
            "hassock_ending_connections{app=\"chat\"} 1",
            "hassock_topics{app=\"chat\"} 2",
            "hassock_subscriptions{app=\"chat\"} 3",
            "hassock_timers{app=\"chat\"} 4",
            "hassock_instances{app=\"chat\"} 5",
            "hassock_instances_limit{app=\"chat\"} 64",
            "hassock_running_calls{app=\"chat\"} 6",
            "hassock_outbox_bytes{app=\"chat\"} 700",
            "hassock_fullest_outbox_ratio{app=\"chat\"} 0.25",
            "hassock_database_sessions{database=\"main\",access=\"read-write\"} 2",
            "hassock_database_sessions_limit{database=\"main\",access=\"read-write\"} 16",
            "hassock_database_statement_duration_seconds_count{database=\"main\"} 2",
            "hassock_database_statement_duration_seconds_sum{database=\"main\"} 3.0",
            "hassock_database_errors_total{database=\"main\",kind=\"pool-exhausted\"} 9",
            "hassock_outbox_published_total{database=\"main\"} 11",
            "hassock_outbox_removed_total{database=\"main\"} 2",
            "hassock_outbox_foreign_rows{database=\"main\"} 3",
            "hassock_outbox_statements_total{database=\"main\"} 40",
            "hassock_outbox_oldest_seconds{database=\"main\"} 0.5",
            "hassock_outbox_relaying{database=\"main\"} 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "missing {expected:?} in:\n{text}");
        }
        let of = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(of("hassock_canary_share{"), 1, "only a canary has a share");
        assert!(of("hassock_build_info{") == 1 && of("hassock_log_lines_left_out_total{") == 2, "{text}");
        for name in ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"] {
            assert_eq!(of(&format!("process_{name} ")), 1, "{name} in:\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    /// The names of the samples of a host that has everything.
    fn names() -> BTreeSet<String> {
        // Its metrics are those of a runtime too.
        let runtime = Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let text = text(snapshot()).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
    }

    /// The metrics that a file beside the sources names.
    fn named_in(file: &str) -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let content = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = Regex::new(r"\b(?:hassock|process)_[a-z_]+[a-z]\b").unwrap();
        name.find_iter(&content).map(|found| found.as_str().to_owned()).collect()
    }

    #[test]
    fn the_dashboard_and_the_alerts_use_metrics_that_exist() {
        let names = names();
        for file in ["dist/grafana-dashboard.json", "dist/prometheus-alerts.yml"] {
            let used = named_in(file);
            let unknown: Vec<_> = used.difference(&names).collect();
            assert!(used.len() > 10 && unknown.is_empty(), "{file}: {unknown:?}");
        }
        let dashboard = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/grafana-dashboard.json");
        let dashboard: serde_json::Value = serde_json::from_slice(&std::fs::read(dashboard).unwrap()).unwrap();
        assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 20));
    }

    /// The tables of the book name the families that there are, and no others.
    #[test]
    fn the_book_names_every_metric() {
        let content =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/operations.md")).unwrap();
        let row = Regex::new(r"(?m)^\| `((?:hassock|process)_[a-z_`, ]+)` \|").unwrap();
        let told: BTreeSet<_> = row
            .captures_iter(&content)
            .flat_map(|row| row[1].split("`, `").map(ToOwned::to_owned).collect::<Vec<_>>())
            .collect();
        let strip = |name: &str| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
        };
        let families: BTreeSet<_> = names().iter().map(|name| strip(name)).collect();
        assert_eq!(told, families);
    }

    #[test]
    fn every_family_says_first_what_it_is() {
        let text = text(snapshot()).unwrap();
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
        let of = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).count();
        assert_eq!(of("# TYPE"), of("# HELP"));
    }

    #[test]
    fn a_name_cannot_break_the_format() {
        let mut snapshot = snapshot();
        snapshot.apps[0].app = "a\"b\\c\nd".to_owned();
        let text = text(snapshot).unwrap();
        assert!(text.contains(r#"hassock_topics{app="a\"b\\c\nd"} 2"#), "{text}");
    }
}
