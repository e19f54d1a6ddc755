//! The metrics of a host: they count what it has done, in a format that scrapers read.

use std::collections::BTreeMap;

use hassock_tests::eventually;

use super::*;

/// A scrape: each series, as `name{labels}`, with its value.
type Scrape = BTreeMap<String, f64>;

async fn scrape(operator: &Operator) -> Scrape {
    let answer = operator.ask("GET /metrics").await;
    assert_eq!(answer.status, 200);
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type").as_deref(), Some(expected));
    read(&answer.body)
}

/// What the OpenMetrics format, version 1.0.0, requires of a text: families are announced and stay together, samples
/// have the suffixes of their type, no series appears twice, and the last line says that it is the last.
fn read(text: &str) -> Scrape {
    let lines = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("the last line is missing: {text}"));
    let (mut series, mut types) = (Scrape::new(), BTreeMap::new());
    let (mut family, mut kind) = ("", "");
    for line in lines.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let [what, name, rest] = meta.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            match what {
                "HELP" => family = name,
                "TYPE" => kind = rest,
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family, "a family is announced with its help: {line}");
            if what == "TYPE" {
                assert_eq!(types.insert(name, rest), None, "a family is there once: {line}");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        // Those of the whole host may have no labels.
        let (base, labels) = name.split_once('{').unwrap_or((name, "\"}"));
        assert!(labels.ends_with("\"}") && types.contains_key(family), "{line}");
        let suffixes: &[&str] = match kind {
            "info" => &["_info"],
            "gauge" => &[""],
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => panic!("{kind}"),
        };
        assert!(suffixes.iter().any(|suffix| base == format!("{family}{suffix}")), "{line}: not a {kind} of {family}");
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(value >= 0.0 && value.is_finite(), "{line}");
        assert_eq!(series.insert(name.to_owned(), value), None, "a series is there once: {line}");
    }
    series
}

/// The buckets of a histogram: upper bounds and cumulative counts, in the order of the text.
fn buckets(text: &str, version: &str) -> Vec<(f64, f64)> {
    let mine = |line: &&str| line.starts_with("hassock_call_duration_seconds_bucket{") && line.contains(version);
    let bucket = |line: &str| {
        let (labels, count) = line.rsplit_once(' ').unwrap();
        let bound = labels.split_once("le=\"").unwrap().1.split_once('"').unwrap().0;
        (bound.replace("+Inf", "inf").parse().unwrap(), count.parse().unwrap())
    };
    text.lines().filter(mine).map(bucket).collect()
}

/// Connections of the versions with these marks.
fn connections(bench: &Bench) -> Vec<(String, u64)> {
    let versions = bench.host.report("marked").versions.into_iter();
    versions.filter(|version| version.connections > 0).map(|version| (version.version, version.connections)).collect()
}

async fn until_connections(bench: &Bench, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(mark, count)| (version_of(mark), *count)).collect();
    eventually("the connections to move", || async { connections(bench) == expected }).await;
}

const DEPLOY: &str = "POST /v1/apps/marked/versions";

const KEYS: &str = "keep_versions = 9\n[apps.marked.rollback]\nmin_calls = 4\n";

/// Everything that can be counted happens a few times, and the counts agree: connections, calls, failures, deploys,
/// refusals by kind, rollbacks by host or operator, and migrations.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_what_is_counted() {
    let other = module_file(&marked("v1"));
    let bench = Bench::with("", &format!("{KEYS}{}", app("other", other.path()))).await;
    let (host, operator) = (&bench.host, &bench.operator);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(host.connect("/marked").await);
    }
    // v1: three `open`, two `receive`.
    for _ in 0..2 {
        clients[0].ask("hello").await;
    }
    // v2: three `migrate`; one `closed`; one `receive` that returns an error, and the `closed` that follows.
    let (v2, v3, v4) = ("v2 migrate", "v3 migrate-error", "v4 all-trap");
    assert_eq!(operator.send(DEPLOY, &marked(v2)).await.status, 200);
    until_connections(&bench, &[(v2, 3)]).await;
    clients.pop().unwrap().close().await;
    clients[1].send("error").await;
    assert_eq!(clients.pop().unwrap().closed().await.code, 1011);
    until_connections(&bench, &[(v2, 1)]).await;
    // Three refusals.
    for (module, kind) in
        [(b"x".to_vec(), "not-wasm"), (b"y".to_vec(), "not-wasm"), (marked("v0 check-error"), "check")]
    {
        assert_eq!(operator.send(DEPLOY, &module).await.json()["kind"], kind);
    }
    // v3: one `migrate`, which fails. An operator takes it back.
    assert_eq!(operator.send(DEPLOY, &marked(v3)).await.status, 200);
    eventually("the failure", || async { host.report("marked").counts.failed_migrations == 1 }).await;
    assert_eq!(operator.ask("POST /v1/apps/marked/rollback").await.status, 200);
    // v4: one `migrate`, three `open`, one `receive` that traps: the host takes it back. v2: three `migrate` of the
    // connections that came meanwhile, and one `closed`.
    assert_eq!(operator.send(DEPLOY, &marked(v4)).await.status, 200);
    until_connections(&bench, &[(v4, 1)]).await;
    for _ in 0..3 {
        clients.push(host.connect("/marked").await);
    }
    clients[3].send("x").await;
    assert_eq!(clients.pop().unwrap().closed().await.code, 1011);
    until_connections(&bench, &[(v2, 3)]).await;
    let share = "POST /v1/apps/other/versions?canary=2.5%25";
    assert_eq!(operator.send(share, &marked("v5")).await.status, 200);

    let found = scrape(operator).await;
    let mut expected = Scrape::new();
    // Connections, calls, failures, and the state.
    for (mark, counts, state) in [
        ("v1", [0.0, 5.0, 0.0], "kept"),
        (v2, [3.0, 10.0, 0.0], "serving"),
        (v3, [0.0, 1.0, 1.0], "rolled-back"),
        (v4, [0.0, 5.0, 1.0], "rolled-back"),
    ] {
        let labels = format!("app=\"marked\",version=\"{}\"", version_of(mark));
        for (name, count) in ["connections", "calls_total", "call_failures_total"].iter().zip(counts) {
            expected.insert(format!("hassock_{name}{{{labels}}}"), count);
        }
        expected.insert(format!("hassock_call_duration_seconds_count{{{labels}}}"), counts[1]);
        expected.insert(format!("hassock_version_info{{state=\"{state}\",{labels}}}"), 1.0);
    }
    let canary = format!("app=\"other\",version=\"{}\"", version_of("v5"));
    for (series, value) in [
        ("deploys_total{app=\"marked\"}", 3.0),
        ("deploys_total{app=\"other\"}", 1.0),
        ("deploy_refusals_total{app=\"marked\",reason=\"check\"}", 1.0),
        ("deploy_refusals_total{app=\"marked\",reason=\"not-wasm\"}", 2.0),
        ("rollbacks_total{app=\"marked\",by=\"host\"}", 1.0),
        ("rollbacks_total{app=\"marked\",by=\"operator\"}", 1.0),
        ("rollbacks_total{app=\"other\",by=\"host\"}", 0.0),
        ("migrations_total{app=\"marked\",outcome=\"ok\"}", 7.0),
        ("migrations_total{app=\"marked\",outcome=\"failed\"}", 1.0),
        (&format!("canary_share{{{canary}}}"), 0.025),
        (&format!("version_info{{state=\"canary\",{canary}}}"), 1.0),
        (&format!("calls_total{{{canary}}}"), 0.0),
    ] {
        expected.insert(format!("hassock_{series}"), value);
    }
    for (series, value) in &expected {
        assert_eq!(found.get(series), Some(value), "{series} in {found:#?}");
    }
    let is_listed = |name: &&String| {
        let families = ["deploy", "rollbacks", "migrations", "canary_share", "connections", "calls", "call_failures"];
        families.iter().any(|family| name.starts_with(&format!("hassock_{family}"))) && name.contains("\"marked\"")
    };
    let unexpected: Vec<_> = found.keys().filter(is_listed).filter(|name| !expected.contains_key(*name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// The histogram counts every call, cumulatively, in the same buckets at every scrape, and its sum gives the mean.
#[tokio::test(flavor = "multi_thread")]
async fn the_histogram_holds_every_call() {
    let bench = Bench::start().await;
    let empty = bench.operator.ask("GET /metrics").await.body;
    let mut client = bench.host.connect("/marked").await;
    for _ in 0..20 {
        client.ask("hello").await;
    }
    // 300 ms, which is much longer than an echo.
    client.ask("sleep").await;
    let text = bench.operator.ask("GET /metrics").await.body;
    let (before, after) = (buckets(&empty, &version_of("v1")), buckets(&text, &version_of("v1")));
    let bounds = |buckets: &[(f64, f64)]| buckets.iter().map(|(bound, _)| *bound).collect::<Vec<_>>();
    assert_eq!(bounds(&before), bounds(&after));
    assert!(before.iter().all(|(_, count)| *count == 0.0), "{before:?}");
    assert!(after.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{after:?}");
    assert_eq!(after.last(), Some(&(f64::INFINITY, 22.0)));
    // The clock is read before and after the call, so it shows at least the time that the module slept.
    let within =
        |limit: f64| after.iter().filter(|(bound, _)| *bound < limit).map(|(_, count)| *count).fold(0.0, f64::max);
    assert!(within(0.3) <= 21.0, "{after:?}");
    let labels = format!("{{app=\"marked\",version=\"{}\"}}", version_of("v1"));
    let sum = read(&text)[&format!("hassock_call_duration_seconds_sum{labels}")];
    let mean = bench.host.report("marked").versions[0].mean_micros;
    assert!(sum >= 0.3 && (sum / 22.0 - mean / 1e6).abs() < 1e-6, "{sum} and {mean}");
}
