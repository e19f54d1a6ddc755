//! Tokens: who may do what.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use hassock_tests::site::lines;
use hassock_tests::{Site, app, guest};

use super::*;

/// All paths of the document, with a token of each kind: it gets what its scope allows and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn each_operation_needs_its_scope() {
    let bench = Bench::start().await;
    let document = bench.document().await;
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(scope) = operation["security"][0]["token"][0].as_str() else { continue };
            operations += 1;
            let path = path.replace("{app}", "probe").replace("{connection}", "1").replace("{topic}", "a");
            let line = format!("{} {path}", method.to_uppercase());
            for token in ["publish", "send", "close", "topics", "history", "presence"] {
                let answer = bench.ask(&format!("{token}-0123456789abcdef"), &line, Some("[]")).await;
                let is_refused = answer.status == 403;
                assert_eq!(is_refused, token != scope, "{line} with {token}: {answer:?}");
                assert!(!is_refused || failure(&answer).1 == "missing_scope", "{answer:?}");
            }
        }
    }
    assert!(operations >= 6, "{operations}");
}

/// Without a token, a client learns nothing: not which paths or apps exist, nor which methods they take. It makes no difference
/// how the token is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_told() {
    let bench = Bench::start().await;
    let wrong = [
        String::new(),
        "authorization: Bearer\r\n".to_owned(),
        "authorization: Bearer \r\n".to_owned(),
        format!("authorization: Basic {ALL}\r\n"),
        format!("authorization: {ALL}\r\n"),
        format!("authorization: Bearer {ALL}0\r\n"),
        format!("authorization: Bearer {}\r\n", &ALL[..ALL.len() - 1]),
        format!("authorization: Bearer {}\r\n", ALL.to_uppercase()),
        format!("authorization: Bearer {ALL}\r\nauthorization: Bearer {ALL}\r\n"),
    ];
    let mut answers = Vec::new();
    for header in &wrong {
        for line in [
            "POST /v1/apps/probe/publish",
            "POST /v1/apps/nobody/publish",
            "GET /v1/apps/probe/publish",
            "GET /v1/apps/probe/topics",
            "GET /nowhere",
            "POST /openapi.json",
        ] {
            let mut raw = Raw::connect(&bench.address()).await;
            raw.send(format!("{line} HTTP/1.1\r\nhost: x\r\n{header}content-length: 0\r\n\r\n")).await;
            let answer = raw.answer().await;
            assert_eq!(failure(&answer), (401, "unauthorized".to_owned()), "{line} {header}");
            answers.push((answer.body.clone(), answer.header("allow")));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let mut raw = Raw::connect(&bench.address()).await;
        raw.send(format!("GET /v1/apps/probe/topics HTTP/1.1\r\nhost: x\r\nauthorization: {scheme} {ALL}\r\n\r\n"))
            .await;
        assert_eq!(raw.answer().await.status, 200, "{scheme}");
    }
}

/// A token does not learn whether an app exists that it is not for.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_learn_of_other_apps() {
    let config = format!("{}{}", config("", ""), app("secret", &guest("marked")));
    let bench = Bench { host: TestHost::start(&config).await };
    let token = "publish-0123456789abcdef";
    let mut answers = Vec::new();
    for name in ["secret", "nobody"] {
        for path in ["publish", "topics", "batch"] {
            let method = if path == "topics" { "GET" } else { "POST" };
            let answer = bench.ask(token, &format!("{method} /v1/apps/{name}/{path}"), Some("{}")).await;
            assert_eq!(failure(&answer), (403, "wrong_app".to_owned()));
            answers.push(answer.body.replace(name, "NAME"));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let of_all = bench.ask(ALL, "GET /v1/apps/secret/topics", None).await;
    assert_eq!(of_all.status, 200);
}

/// A reload replaces tokens. Connections stay open, and what else the API is made of cannot change.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_replaces_tokens() {
    let bench = Bench::start().await;
    let new = "new-0123456789abcdef";
    let mut raw = Raw::connect(&bench.address()).await;
    let mut status = async |token: &str| {
        raw.send(request(token, "GET /v1/apps/probe/topics", None)).await;
        raw.answer().await.status
    };
    assert_eq!((status(ALL).await, status(new).await), (200, 401));
    let report = bench.host.reload(&config("", "").replace(ALL, new)).await.unwrap();
    assert_eq!(report.changes, ["the tokens of the API are others"]);
    assert_eq!((status(ALL).await, status(new).await), (401, 200));
    let report = bench.host.reload(&config("", "").replace(ALL, new)).await.unwrap();
    assert!(report.changes.is_empty(), "{report:?}");
    for (changed, expected) in [
        (config("body_bytes = 5", ""), "api: cannot change while the host runs; restart it"),
        (config("", "").replace(ALL, "short"), "api.tokens.all.token: is not a token: it has 16 to 4096"),
        (config("", "").replace(ALL, "publish-0123456789abcdef"), "is the secret of `api.tokens.all` too"),
    ] {
        let refused = bench.host.reload(&changed).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "missing {expected:?} in {refused}");
        assert!(!refused.contains("0123456789abcdef"), "{refused}");
    }
    assert_eq!((status(ALL).await, status(new).await), (401, 200), "nothing changed");
}

/// A token may be in a file, which is read again at a reload. `check` finds what is wrong with it, `config` hides the secret, and
/// the log does not have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_in_a_file() {
    let probe = app("probe", &guest("marked"));
    let site = Site::new(&format!(
        "[api]\nlisten = \"unix:api.sock\"\n[api.tokens.shop]\ntoken_file = \"shop.token\"\napps = \"*\"\nscopes = [\"topics\"]\n\
         [api.tokens.other]\ntoken = \"other-0123456789abcdef\"\napps = \"*\"\nscopes = [\"topics\"]\n{probe}"
    ));
    for (text, mode, expected) in [
        (None, 0, "hassock.toml:6: api.tokens.shop.token_file: ./shop.token: there is no such file"),
        (Some("first-0123456789abcdef"), 0o644, "has mode 0644"),
        (Some("short"), 0o600, "is not a token"),
    ] {
        if let Some(text) = text {
            site.put("shop.token", text);
            fs::set_permissions(site.file("shop.token"), Permissions::from_mode(mode)).unwrap();
        }
        for command in ["check", "serve"] {
            let finished = site.run(command).await;
            assert_eq!(finished.code, Some(78), "{finished:?}");
            let said = finished.stdout + &finished.stderr;
            assert!(said.contains(expected), "missing {expected:?} in {said}");
        }
    }
    site.put("shop.token", "first-0123456789abcdef\n");
    let host = site.serve().await;
    let status = async |token: &str| {
        let stream = tokio::net::UnixStream::connect(site.file("api.sock")).await.unwrap();
        let line: hassock_tests::admin::Line = Box::new(stream);
        let request =
            request(token, "GET /v1/apps/probe/topics", None).replace("host: x", "host: x\r\nconnection: close");
        let mut line = line;
        tokio::io::AsyncWriteExt::write_all(&mut line, request.as_bytes()).await.unwrap();
        hassock_tests::admin::answer(line).await.unwrap().status
    };
    assert_eq!((status("first-0123456789abcdef").await, status("second-0123456789abcdef").await), (200, 401));
    site.put("shop.token", "second-0123456789abcdef\n");
    host.process.signal("HUP");
    host.logs("the tokens of the API are others", 1).await;
    assert_eq!((status("first-0123456789abcdef").await, status("second-0123456789abcdef").await), (401, 200));
    for command in ["config", "config --json"] {
        let shown = site.run(command).await.stdout;
        assert!(shown.contains("api.tokens.other.token") && !shown.contains("0123456789abcdef"), "{shown}");
    }
    let log = host.stop().await;
    assert!(!log.contains("0123456789abcdef"), "{log}");
    let requests = lines(&log, "a request to the API");
    let seen: Vec<_> = requests.iter().map(|line| (line["token"].as_str(), line["status"].as_u64().unwrap())).collect();
    let shop = Some("shop");
    assert_eq!(seen, [(shop, 200), (None, 401), (None, 401), (shop, 200)]);
    assert!(requests.iter().all(|line| line["operation"] == "topics" && line["micros"].as_u64().is_some()));
}
