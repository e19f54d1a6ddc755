//! The metrics of a host: they count what it has done, in a format that scrapers read.

use std::collections::BTreeMap;

use hassock_tests::{eventually, refused};

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

/// The buckets of the histogram of `receive`: upper bounds and cumulative counts, in the order of the text.
fn buckets(text: &str, version: &str) -> Vec<(f64, f64)> {
    let labels = format!("version=\"{version}\",export=\"receive\"");
    let mine = |line: &&str| line.starts_with("hassock_call_duration_seconds_bucket{") && line.contains(&labels);
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
        let of_version =
            |name: &str| name.starts_with("hassock_call_duration_seconds_count{") && name.contains(&labels);
        let sum: f64 = found.iter().filter(|(name, _)| of_version(name)).map(|(_, count)| count).sum();
        assert!((sum - counts[1]).abs() < f64::EPSILON, "{labels}: {sum} calls in histograms");
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
        (
            &format!(
                "call_errors_total{{app=\"marked\",version=\"{}\",export=\"receive\",kind=\"returned\"}}",
                version_of(v2)
            ),
            1.0,
        ),
        (
            &format!(
                "call_errors_total{{app=\"marked\",version=\"{}\",export=\"migrate\",kind=\"returned\"}}",
                version_of(v3)
            ),
            1.0,
        ),
        (
            &format!(
                "call_errors_total{{app=\"marked\",version=\"{}\",export=\"receive\",kind=\"panic\"}}",
                version_of(v4)
            ),
            1.0,
        ),
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

/// The histogram counts every call, cumulatively, in the same buckets at every scrape, and its sum is that of the calls.
#[tokio::test(flavor = "multi_thread")]
async fn the_histogram_holds_every_call() {
    let bench = Bench::start().await;
    let mut client = bench.host.connect("/marked").await;
    client.ask("hello").await;
    let first = bench.operator.ask("GET /metrics").await.body;
    for _ in 0..19 {
        client.ask("hello").await;
    }
    // 300 ms, which is much longer than an echo.
    client.ask("sleep").await;
    let text = bench.operator.ask("GET /metrics").await.body;
    let (before, after) = (buckets(&first, &version_of("v1")), buckets(&text, &version_of("v1")));
    let bounds = |buckets: &[(f64, f64)]| buckets.iter().map(|(bound, _)| *bound).collect::<Vec<_>>();
    assert_eq!(bounds(&before), bounds(&after));
    assert_eq!(before.last(), Some(&(f64::INFINITY, 1.0)));
    assert!(after.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{after:?}");
    assert_eq!(after.last(), Some(&(f64::INFINITY, 21.0)));
    // The clock is read before and after the call, so it shows at least the time that the module slept.
    let within =
        |limit: f64| after.iter().filter(|(bound, _)| *bound < limit).map(|(_, count)| *count).fold(0.0, f64::max);
    assert!(within(0.3) <= 20.0, "{after:?}");
    let found = read(&text);
    let of = |export: &str| {
        let labels = format!("{{app=\"marked\",version=\"{}\",export=\"{export}\"}}", version_of("v1"));
        found[&format!("hassock_call_duration_seconds_sum{labels}")]
    };
    let (sum, mean) = (of("open") + of("receive"), bench.host.report("marked").versions[0].mean_micros);
    assert!(sum >= 0.3 && (sum / 22.0 - mean / 1e6).abs() < 1e-6, "{sum} and {mean}");
}

/// Handshakes, messages, ends, topics, timers, instances, outboxes, statements and sessions: everything that has a bound.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_of_the_bounds_is_shown() {
    let database = "[databases.main]\nurl = \"sqlite::memory:\"\nmax_connections = 3\n";
    let bench = Bench::with(
        database,
        &format!(
            "{}databases = {{ main = \"read-write\" }}\n[apps.probe.limits]\ninstances = 7\n",
            app("probe", &guest("probe"))
        ),
    )
    .await;
    let (host, operator) = (&bench.host, &bench.operator);
    let mut subscriber = host.connect("/probe?topic=news").await;
    let mut other = host.connect("/probe?topic=other").await;
    let published = other.probe(json!({ "publish": { "topic": "news", "text": "ok" } })).await;
    assert_eq!((published, subscriber.text().await), (json!(1), "ok".to_owned()));
    other.probe(json!({ "timer": { "name": "late", "after_ms": 3_600_000, "text": "" } })).await;
    other.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)", json!([])).await;
    for expected in [json!({ "affected": 1, "id": 1 }), Value::Null] {
        let answer = other.try_probe(json!({ "execute": { "sql": "INSERT INTO t VALUES (1)" } })).await;
        assert_eq!(answer["ok"], expected, "{answer}");
    }
    assert_eq!(refused(&host.address(), "/nowhere", |_| {}).await.0, 404);
    subscriber.close().await;
    let open = || async { scrape(operator).await["hassock_open_connections"] };
    eventually("the end", || async { open().await < 2.0 }).await;

    let found = scrape(operator).await;
    for (series, value) in [
        ("handshakes_total{app=\"probe\",outcome=\"accepted\"}", 2.0),
        ("unrouted_handshakes_total{outcome=\"not-found\"}", 1.0),
        ("open_connections", 1.0),
        ("connections_limit", 10_000.0),
        ("messages_received_total{app=\"probe\"}", 5.0),
        // Five answers and `ok`.
        ("messages_sent_total{app=\"probe\"}", 6.0),
        ("closes_total{app=\"probe\",by=\"client\",code=\"1005\"}", 1.0),
        ("slow_clients_total{app=\"probe\"}", 0.0),
        ("ending_connections{app=\"probe\"}", 0.0),
        ("topics{app=\"probe\"}", 1.0),
        ("subscriptions{app=\"probe\"}", 1.0),
        ("timers{app=\"probe\"}", 1.0),
        ("instances_limit{app=\"probe\"}", 7.0),
        ("running_calls{app=\"probe\"}", 0.0),
        ("outbox_bytes{app=\"probe\"}", 0.0),
        ("fullest_outbox_ratio{app=\"probe\"}", 0.0),
        ("database_sessions{database=\"main\",access=\"read-write\"}", 0.0),
        ("database_statement_duration_seconds_count{database=\"main\"}", 3.0),
        ("database_errors_total{database=\"main\",kind=\"constraint\"}", 1.0),
    ] {
        assert_eq!(found.get(&format!("hassock_{series}")), Some(&value), "{series} in {found:#?}");
    }
    assert!(found["hassock_received_bytes_total{app=\"probe\"}"] > 100.0, "{found:#?}");
    assert!(found["hassock_instances{app=\"probe\"}"] >= 1.0, "{found:#?}");
    assert!(found["process_resident_memory_bytes"] > 1e6 && found["process_open_fds"] > 5.0, "{found:#?}");
}

/// A client that does not read is counted, and what waits for it is shown before.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_are_shown() {
    let database = "[databases.main]\nurl = \"sqlite::memory:\"\n";
    let grant = "databases = { main = \"read-write\" }";
    let app = app("probe", &guest("probe"));
    let bench = Bench::with(database, &format!("{app}{grant}\n[apps.probe.limits]\noutbox_bytes = \"1 MiB\"\n")).await;
    let _silent = bench.host.connect("/probe?topic=news").await;
    let mut other = bench.host.connect("/probe").await;
    let text = "x".repeat(100_000);
    let mut fullest: f64 = 0.0;
    let slow = "hassock_slow_clients_total{app=\"probe\"}";
    loop {
        other.probe(json!({ "publish": { "topic": "news", "text": text } })).await;
        let found = scrape(&bench.operator).await;
        fullest = fullest.max(found["hassock_fullest_outbox_ratio{app=\"probe\"}"]);
        if found[slow] > 0.0 {
            break;
        }
    }
    assert!(fullest > 0.5, "{fullest}");
}
