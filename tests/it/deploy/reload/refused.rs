//! A config that cannot be served is refused as a whole, and nothing of it is applied.

use std::fs;

use hassock::deploy::AppReport;
use hassock_tests::{Client, TestHost, app, eventually, guest, marked, module_file, refused};
use serde_json::json;
use tempfile::NamedTempFile;

/// What a host serves: a line for each app.
fn served(host: &TestHost) -> Vec<String> {
    let line = |app: AppReport| {
        let versions: Vec<_> = app.versions.iter().map(|version| (&version.version, version.state)).collect();
        format!("{} at {}, file {}: {versions:?}", app.app, app.path, app.file_version)
    };
    host.host.control().report().into_iter().map(line).collect()
}

/// The number of the line of a config that contains a text; the first line is `listen`.
fn line(config: &str, text: &str) -> usize {
    2 + config.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {config}"))
}

/// The config that a host begins with, and one in which everything is different.
struct Configs {
    module: NamedTempFile,
    extra: NamedTempFile,
}

impl Configs {
    fn new() -> Self {
        Self { module: module_file(&marked("v1")), extra: module_file(&marked("extra")) }
    }

    fn first(&self) -> String {
        let (marked, probe) = (app("marked", self.module.path()), app("probe", &guest("probe")));
        format!("[databases.main]\nurl = \"sqlite::memory:\"\n{marked}{probe}databases.main = \"read-write\"\n")
    }

    fn second(&self) -> String {
        let first = self.first().replace("\"/marked\"", "\"/moved\"");
        let limits = "[limits]\nconnections_per_address = 3\n";
        let (database, extra) = ("[databases.other]\nurl = \"sqlite::memory:\"\n", app("extra", self.extra.path()));
        format!("test_page = true\n{limits}{first}settings.colour = \"red\"\n{database}{extra}")
    }
}

/// A config is applied as a whole or not at all: whatever is wrong with one app, no other app, path, module, setting,
/// limit or database changes, and the error says file, line and key.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_app_keeps_everything_as_it_was() {
    let configs = Configs::new();
    let host = TestHost::start(&configs.first()).await;
    let (mut client, mut probe) = (host.connect("/marked").await, host.connect("/probe").await);
    probe.execute("CREATE TABLE t (n BIGINT)", json!([])).await;
    fs::write(configs.module.path(), marked("v2")).unwrap();
    let [fails, traps] = [module_file(&marked("v3 check-error")), module_file(&marked("v3 check-trap"))];
    let (good, before) = (configs.second(), served(&host));
    let put = |what: &str, instead: &str| {
        assert!(good.contains(what), "{what}: {good}");
        good.replacen(what, instead, 1)
    };
    let path = |file: &NamedTempFile| file.path().display().to_string();
    let (module, extra) = (path(&configs.module), path(&configs.extra));
    let probe_module = guest("probe").display().to_string();
    let grant = "databases.main = \"read-write\"\n";
    let other = "[databases.other]\nurl = \"sqlite::memory:\"";
    let no_folder = "[databases.other]\nurl = \"sqlite:///no/such/folder/x.db\"";
    let cases = [
        ("no TOML", format!("{good}sound =\n"), "sound =", ": "),
        ("a key that there is not", format!("{good}sound = 1\n"), "sound = 1", ": apps.extra.sound: unknown key"),
        ("no module", put(&extra, "nowhere.wasm"), "nowhere.wasm", ": apps.extra.module: cannot read the module"),
        ("a new app whose test fails", put(&extra, &path(&fails)), &path(&fails), ": apps.extra.module: the self-test"),
        ("an app whose test traps", put(&module, &path(&traps)), &path(&traps), ": apps.marked.module: the self-test"),
        ("a database that is not there", put(other, no_folder), "/no/such", ": databases.other.url: "),
        (
            "a grant that is needed",
            put(grant, ""),
            &probe_module,
            ": apps.probe.module: the module imports `hassock:host/sql",
        ),
    ];
    for (what, config, culprit, message) in cases {
        let error = host.reload(&config).await.unwrap_err().to_string();
        let place = format!("hassock.toml:{}{message}", line(&config, culprit.trim_end()));
        assert!(error.contains(&place) && error.lines().count() == 1, "{what}: {place} is not in {error}");
        assert_eq!(served(&host), before, "{what}");
        assert_eq!(refused(&host.address(), "/moved", |_| {}).await.0, 404, "{what}");
        assert_eq!(refused(&host.address(), "/extra", |_| {}).await.0, 404, "{what}");
        assert_eq!(super::page(&host).await.0, 404, "{what}");
        assert_eq!(host.connect("/marked").await.served_by().await, "v1", "{what}");
        assert_eq!(client.served_by().await, "v1", "{what}");
        assert_eq!(probe.probe(json!({ "setting": "colour" })).await, json!(null), "{what}");
        assert_eq!(probe.query("SELECT n FROM t", json!([])).await, json!([]), "{what}");
        assert_eq!(probe.try_probe(json!({ "open": "other" })).await["sql"], "unknown-database", "{what}");
        let more = [host.connect("/probe").await, host.connect("/probe").await];
        assert_eq!(more.len() + 2, 4, "{what}: the limit of three is not in force");
    }
    // Without what is wrong, all of it is applied.
    host.reload(&good).await.unwrap();
    assert_eq!((client.served_by().await, super::page(&host).await.0), ("v2".to_owned(), 200));
    assert_eq!(probe.probe(json!({ "setting": "colour" })).await, "red");
    // There may be three connections now, and the last of the earlier ones takes a moment to end.
    let arrives = || async { Client::with(&host.address(), "/extra", |_| {}).await.is_ok() };
    eventually("a place", arrives).await;
}

/// All problems are reported at once, in the order of the file.
#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_reported_at_once() {
    let configs = Configs::new();
    let host = TestHost::start(&configs.first()).await;
    let bad = configs.first().replace("sqlite::memory:", "sqlite:///no/such/folder/x.db");
    let bad = format!("{bad}{}limits.memory = \"65MiB\"\n", app("extra", "nowhere.wasm".as_ref()));
    let error = host.reload(&bad).await.unwrap_err().to_string();
    let keys: Vec<_> = error.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(keys, ["databases.main.url", "apps.extra.module", "apps.extra.limits.memory"], "{error}");
}

/// Keys that a running host cannot change are named, each with its line, and nothing else of the config is applied.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_need_a_restart_refuse_the_whole_config() {
    let file = module_file(&marked("v1"));
    let rest = app("marked", file.path());
    let config = |head: &str| format!("{head}{rest}settings.a = 1\n");
    let host = TestHost::start(&format!("watch = false\n{rest}")).await;
    for (head, key) in [
        ("watch = true\n", "watch"),
        ("watch = false\nlog.level = \"debug\"\n", "log"),
        ("watch = false\nlimits.max_instances = 500\n", "limits.max_instances"),
        ("watch = false\n[log]\nformat = \"json\"\n", "log"),
    ] {
        let error = host.reload(&config(head)).await.unwrap_err().to_string();
        let line = line(head, key.rsplit('.').next().unwrap());
        let expected = format!("hassock.toml:{line}: {key}: cannot change while the host runs; restart it");
        assert!(error.contains(&expected) && error.lines().count() == 1, "{expected} is not in {error}");
    }
    let error = host.reload(&format!("{}limits.memory = \"65MiB\"\n", config("watch = false\n"))).await.unwrap_err();
    let expected = "hassock.toml:7: apps.marked.limits.memory: 65.0 MiB is more than the 64 MiB that the host reserved";
    assert!(error.to_string().contains(expected), "{error}");
    // Two keys that a test's host does not get from its file.
    fs::write(host.file("hassock.toml"), format!("listen = \"127.0.0.1:1\"\n{}", config("watch = false\n"))).unwrap();
    let error = host.host.control().reload().await.unwrap_err().to_string();
    let lines: Vec<_> = error.lines().map(|line| line.split_once("hassock.toml").unwrap().1).collect();
    let restart = "cannot change while the host runs; restart it, or put the old value back";
    assert_eq!(lines, [format!(": cache: {restart}"), format!(":1: listen: {restart}")]);

    // Nothing of all that was applied. The memory that was reserved may be used.
    for memory in ["32MiB", "64MiB"] {
        let config = format!("{}limits.memory = \"{memory}\"\n", config("watch = false\n"));
        let report = host.reload(&config).await.unwrap();
        assert_eq!(report.changes, ["the app `marked` has other grants, limits, settings or origins"]);
    }
}
