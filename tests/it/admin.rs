//! The admin listener over real sockets: which requests it accepts, its answers, and their effects.

mod deploys;
mod metrics;
mod socket;
mod token;

use std::path::Path;

use hassock::deploy::{AppReport, VersionStatus};
use hassock_tests::{Operator, TestHost, app, cache, guest, marked, module_file, version_of};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A host that serves the version `v1` of `marked` and has an admin listener, and an operator that sends requests.
struct Bench {
    host: TestHost,
    operator: Operator,
    /// The text of its config, which is not in a file yet.
    config: String,
    _module: NamedTempFile,
}

impl Bench {
    /// A listener on any free port.
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// With more keys of `[admin]` and of the app.
    async fn with(admin: &str, app: &str) -> Self {
        Self::keeping(&cache(), admin, app).await
    }

    /// The same, with its compiled code in a folder.
    async fn keeping(code: &Path, admin: &str, keys: &str) -> Self {
        let module = module_file(&marked("v1"));
        let listen = if admin.contains("listen = ") { "" } else { "listen = \"127.0.0.1:0\"\n" };
        let (code, app) = (code.display(), app("marked", module.path()));
        let config = format!("[cache]\ndirectory = \"{code}\"\n[admin]\n{listen}{admin}\n{app}{keys}\n");
        let host = TestHost::start(&config).await;
        let operator = Operator::of(&host);
        Self { host, operator, config, _module: module }
    }

    /// Write a config where the host reads it on a reload.
    fn configure(&self, config: &str) {
        std::fs::write(self.host.file("hassock.toml"), format!("listen = \"127.0.0.1:0\"\n{config}")).unwrap();
    }

    /// The versions and their states, the newest first.
    fn standings(&self) -> Vec<(String, VersionStatus)> {
        let versions = self.host.report("marked").versions.into_iter();
        versions.map(|version| (version.version, version.state)).collect()
    }
}

/// A report without the ages, which change with time.
fn ageless(mut report: AppReport) -> AppReport {
    report.versions.iter_mut().for_each(|version| version.age_seconds = 0);
    report.last_refusal.iter_mut().for_each(|refusal| refusal.age_seconds = 0);
    report
}

/// A client without a token learns that the host runs and nothing else, not even which paths exist. Its requests are
/// not carried out.
#[tokio::test(flavor = "multi_thread")]
async fn only_health_is_told_without_a_token() {
    let bench = Bench::start().await;
    let health = bench.operator.raw("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    bench.operator.send("POST /v1/apps/marked/versions", &marked("v2")).await;
    bench.operator.send("POST /v1/apps/marked/versions?canary=10%25", &marked("v3")).await;
    let before = ageless(bench.host.report("marked"));
    assert_eq!(before.counts.deploys, 2);
    let token = &bench.operator.token;
    let wrong = [
        String::new(),
        "authorization: Bearer\r\n".to_owned(),
        "authorization: Bearer \r\n".to_owned(),
        format!("authorization: Basic {token}\r\n"),
        format!("authorization: {token}\r\n"),
        format!("authorization: Bearer {token}0\r\n"),
        format!("authorization: Bearer {}\r\n", &token[1..]),
        format!("authorization: Bearer {}\r\n", &token[..token.len() - 1]),
        format!("authorization: Bearer {}\r\n", token.to_uppercase()),
        format!("authorization: Bearer {token}\r\nauthorization: Bearer x\r\n"),
        format!("authorization: Bearer x\r\nauthorization: Bearer {token}\r\n"),
        format!("token: {token}\r\n"),
    ];
    let module = marked("v4");
    let deploy = format!("POST /v1/apps/marked/versions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", module.len());
    for header in &wrong {
        for line in [
            "GET /metrics",
            "GET /v1/apps",
            "POST /v1/apps/marked/rollback",
            "POST /v1/apps/marked/promote",
            "POST /v1/apps/marked/pin",
            "POST /v1/reload",
            "POST /health-check",
            "GET /nowhere",
        ] {
            let answer = bench.operator.raw(format!("{line} HTTP/1.1\r\nhost: x\r\n{header}\r\n")).await;
            assert_eq!((answer.status, answer.json()["kind"].as_str()), (401, Some("unauthorized")), "{line} {header}");
            assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer realm=\"hassock\""));
        }
    }
    // The host does not wait for the body.
    let answer = bench.operator.raw(format!("{deploy}authorization: Bearer x\r\n\r\n")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(ageless(bench.host.report("marked")), before, "nothing was done");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = format!("GET /v1/apps HTTP/1.1\r\nhost: x\r\nauthorization: {scheme} {token}\r\n\r\n");
        assert_eq!(bench.operator.raw(request).await.status, 200, "{scheme}");
    }
}

/// The table in `admin/error.rs`: the status, the kind, and a sentence that says what to do. Errors that need more than
/// one request have tests of their own.
#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_status_and_kind() {
    let bench = Bench::start().await;
    for (line, status, kind, text) in [
        ("GET /nowhere", 404, "unknown-route", "there is no `/nowhere` here"),
        ("GET /v1/apps/marked", 404, "unknown-route", "there is no `/v1/apps/marked` here"),
        ("POST /v1/apps/marked/delete", 404, "unknown-route", "there is no `/v1/apps/marked/delete` here"),
        ("POST /v1/apps/nobody/promote", 404, "unknown-app", "there is no app `nobody`; the config has `marked`"),
        ("POST /v1/apps/nobody/rollback", 404, "unknown-app", "there is no app `nobody`"),
        ("POST /v1/apps/nobody/pin", 404, "unknown-app", "there is no app `nobody`"),
        ("POST /v1/apps", 405, "method", "use GET here"),
        ("POST /metrics", 405, "method", "use GET here"),
        ("POST /health", 405, "method", "use GET here"),
        ("GET /v1/reload", 405, "method", "use POST here"),
        ("GET /v1/apps/marked/rollback", 405, "method", "use POST here"),
        ("POST /v1/apps/marked/promote", 409, "no-canary", "`marked` has no canary; deploy one with `hassock module"),
        ("POST /v1/apps/marked/rollback", 409, "no-previous", "`marked` has no version to go back to"),
        ("POST /v1/apps/marked/versions", 400, "parameter", "the body is empty"),
        ("POST /v1/apps/marked/versions?canary=lots", 400, "parameter", "`lots` is not a share"),
        ("POST /v1/apps/marked/versions?canary=100%25", 400, "parameter", "`100%` is not a share"),
        (
            "POST /v1/apps/marked/versions?cannary=10%25",
            400,
            "parameter",
            "unknown parameter `cannary`, expected `canary`",
        ),
        ("POST /v1/apps/marked/pin?for=ages", 400, "parameter", "`ages` is not a time span"),
        ("POST /v1/apps/marked/pin?for=1m&off", 400, "parameter", "exclude each other"),
        ("POST /v1/apps/marked/pin?off&off", 400, "parameter", "the parameter `off` is given twice"),
        ("POST /v1/apps/marked/rollback?now", 400, "parameter", "unknown parameter `now`; this path takes none"),
        ("GET /metrics?x", 400, "parameter", "unknown parameter `x`; this path takes none"),
        ("GET /health?x", 400, "parameter", "unknown parameter `x`; this path takes none"),
    ] {
        let answer = bench.operator.ask(line).await;
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (status, Some(kind)), "{line}");
        assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains(text)), "{line}: {answer:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{line}: {answer:?}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    }
    let unknown = bench.operator.send("POST /v1/apps/nobody/versions", &marked("v2")).await;
    assert_eq!((unknown.status, unknown.json()["kind"].as_str()), (404, Some("unknown-app")));
    assert_eq!(bench.standings(), [(version_of("v1"), VersionStatus::Serving)], "nothing was done");
}

/// A refusal by the gate is 422 with the gate's kind and its whole message, and the serving version goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_gate_is_422_with_its_kind() {
    let bench = Bench::start().await;
    let mut client = bench.host.connect("/marked").await;
    let cut_off = marked("v2")[..1000].to_vec();
    let probe = std::fs::read(guest("probe")).unwrap();
    for (module, kind, text) in [
        (b"no module".to_vec(), "not-wasm", "the component that was sent is not WebAssembly"),
        (b"\0asm\x01\0\0\0".to_vec(), "not-component", "build it for the target `wasm32-wasip2`"),
        (cut_off, "invalid", "does not compile"),
        (b"\0asm\x0d\0\x01\0".to_vec(), "missing-export", "does not export `hassock:host/handler"),
        (probe, "imports", "which is not granted; add `databases = "),
        (marked("v2 check-error"), "check", "the module returned an error: the check says no"),
    ] {
        let answer = bench.operator.send("POST /v1/apps/marked/versions", &module).await;
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (422, Some(kind)));
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(text), "{kind}: {error}");
        let refusal = bench.host.report("marked").last_refusal.unwrap();
        assert_eq!((refusal.kind.as_str(), refusal.message), (kind, error));
        assert_eq!(client.ask("still").await, "v1 still");
    }
    assert_eq!(bench.standings(), [(version_of("v1"), VersionStatus::Serving)]);
}

/// Each request does what it asks for, and its answer says what was done.
#[tokio::test(flavor = "multi_thread")]
async fn requests_do_what_they_ask_for() {
    let bench = Bench::start().await;
    let (v1, v2, v3) = (version_of("v1"), version_of("v2"), version_of("v3"));
    let mut client = bench.host.connect("/marked").await;

    let deployed = bench.operator.send("POST /v1/apps/marked/versions", &marked("v2")).await.json();
    let note = deployed["notes"][0].as_str().unwrap();
    assert!(
        note.ends_with(
            ".wasm contains another version. Copy this version there; otherwise, a restart serves the other one."
        ),
        "{note}"
    );
    let expected = json!({ "app": "marked", "version": v2, "previous": v1, "state": "serving",
                           "canary_percent": null, "notes": [note] });
    assert_eq!(deployed, expected);
    assert_eq!(client.ask("who").await, "v2 who");

    let canary = bench.operator.send("POST /v1/apps/marked/versions?canary=2.5%25", &marked("v3")).await.json();
    let expected = json!({ "app": "marked", "version": v3, "previous": v2, "state": "canary",
                           "canary_percent": 2.5, "notes": [] });
    assert_eq!(canary, expected);
    let promoted = bench.operator.ask("POST /v1/apps/marked/promote").await.json();
    assert_eq!(
        (&promoted["version"], &promoted["previous"], &promoted["state"]),
        (&json!(v3), &json!(v2), &json!("serving"))
    );
    assert_eq!(client.ask("who").await, "v3 who");

    let back = bench.operator.ask("POST /v1/apps/marked/rollback").await.json();
    assert_eq!((&back["version"], &back["previous"], &back["state"]), (&json!(v2), &json!(v3), &json!("serving")));
    assert_eq!(client.ask("who").await, "v2 who");

    let apps = bench.operator.ask("GET /v1/apps").await.json();
    let told: Vec<AppReport> = serde_json::from_value(apps).unwrap();
    let mut report = ageless(bench.host.report("marked"));
    // The histograms are too large for the JSON; `/metrics` has them.
    report.versions.iter_mut().for_each(|version| version.by_export.clear());
    assert_eq!(told.into_iter().map(ageless).collect::<Vec<_>>(), [report]);
}

/// A pin lasts as long as the request says: some time, the time of the config, or no time. The answer says so, and the
/// next deploy shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_holds_for_as_long_as_it_says() {
    let bench = Bench::with("", "pin_for = \"7m\"").await;
    let mut client = bench.host.connect("/marked").await;
    let pin = |query| bench.operator.ask(query);
    let answer = |swap, seconds: Option<u64>| json!({ "app": "marked", "swap": swap, "pin_for_seconds": seconds });
    assert_eq!(pin("POST /v1/apps/marked/pin?for=1h%2030m").await.json(), answer("pin", Some(5400)));
    bench.operator.send("POST /v1/apps/marked/versions", &marked("v2")).await;
    assert_eq!(client.ask("who").await, "v1 who", "it stays");
    assert_eq!(bench.host.connect("/marked").await.ask("who").await, "v2 who");
    assert_eq!(pin("POST /v1/apps/marked/pin").await.json(), answer("pin", Some(420)));
    assert_eq!(client.ask("who").await, "v1 who");
    assert_eq!(pin("POST /v1/apps/marked/pin?off").await.json(), answer("live", None));
    assert_eq!(client.ask("who").await, "v2 who", "it moves at once");
}

/// An app's name may contain any character. In a URL it is encoded, and an encoded slash does not split the path.
#[tokio::test(flavor = "multi_thread")]
async fn names_in_urls_are_decoded() {
    let odd = "[apps.\"a/b c?ä%\"]\npath = \"/odd\"\n";
    let module = module_file(&marked("v1"));
    let config = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{odd}module = \"{}\"\n", module.path().display());
    let host = TestHost::start(&config).await;
    let operator = Operator::of(&host);
    let path = "POST /v1/apps/a%2Fb%20c%3F%C3%A4%25";
    let deployed = operator.send(&format!("{path}/versions"), &marked("v2")).await.json();
    assert_eq!((&deployed["app"], &deployed["version"]), (&json!("a/b c?ä%"), &json!(version_of("v2"))));
    assert_eq!(host.connect("/odd").await.ask("who").await, "v2 who");
    assert_eq!(operator.ask(&format!("{path}/rollback")).await.json()["version"], version_of("v1"));
    let metrics = operator.ask("GET /metrics").await.body;
    assert!(metrics.contains("hassock_deploys_total{app=\"a/b c?ä%\"} 1\n"), "{metrics}");
    for wrong in ["POST /v1/apps/a/b%20c%3F%C3%A4%25/rollback", "POST /v1/apps/%ff/rollback"] {
        assert_eq!(operator.ask(wrong).await.json()["kind"], "unknown-route", "{wrong}");
    }
}

/// A reload says what has changed. If the config on disk is wrong, it names all problems and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_done_or_says_why_not() {
    let bench = Bench::start().await;
    bench.configure(&bench.config);
    let nothing = bench.operator.ask("POST /v1/reload").await;
    assert_eq!((nothing.status, nothing.json()), (200, json!({ "changes": [] })));
    bench.configure(&bench.config.replace("path = \"/marked\"", "path = \"/moved\""));
    let moved = bench.operator.ask("POST /v1/reload").await.json();
    assert_eq!(moved, json!({ "changes": ["the app `marked` is at /moved now, not at /marked"] }));
    assert_eq!(bench.host.connect("/moved").await.ask("who").await, "v1 who");
    bench.configure(&bench.config.replace("path = \"/marked\"", "path = \"marked\"\npaht = 1"));
    let wrong = bench.operator.ask("POST /v1/reload").await;
    assert_eq!((wrong.status, &wrong.json()["kind"]), (422, &Value::from("config")));
    let error = wrong.json()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("the config was not reloaded; the running config stays in effect:\n"), "{error}");
    assert!(error.contains(": apps.marked.path: ") && error.contains(": apps.marked.paht: unknown key"), "{error}");
    assert_eq!(bench.host.connect("/moved").await.ask("who").await, "v1 who");
}
