//! The handshake: the answers to requests that do not become a WebSocket, and which clients may connect.

mod listeners;
mod open;
mod page;
mod proxies;
mod tls;

use hassock_tests::raw::{close, text, upgrade, upgrade_with};
use hassock_tests::{Client, Raw, TestHost, app, app_with_database, example, guest, refused};
use serde_json::json;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Send a request to the shared host, on a connection of its own, and return the answer.
async fn ask(request: &str) -> hassock_tests::raw::Answer {
    let mut raw = Raw::connect(&TestHost::shared().await.address()).await;
    raw.send(request).await;
    raw.answer().await
}

/// RFC 9110, section 15.5.22: plain HTTP at the path of an app gets the protocol to upgrade to.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_426() {
    for request in [
        "GET /probe HTTP/1.1\r\nHost: hassock.test\r\n\r\n".to_owned(),
        "OPTIONS /probe HTTP/1.1\r\nHost: hassock.test\r\n\r\n".to_owned(),
        "POST /probe HTTP/1.1\r\nHost: hassock.test\r\nContent-Length: 0\r\n\r\n".to_owned(),
        upgrade("/probe").replace("GET", "POST"),
        upgrade("/probe").replace("Upgrade: websocket\r\n", ""),
        upgrade("/probe").replace("Upgrade: websocket", "Upgrade: h2c"),
        upgrade("/probe").replace("Connection: Upgrade\r\n", ""),
        // RFC 6455, section 4.4: a version that is not supported.
        upgrade("/probe").replace("Version: 13", "Version: 8"),
        upgrade("/probe").replace("Sec-WebSocket-Version: 13\r\n", ""),
    ] {
        let answer = ask(&request).await;
        assert_eq!(answer.status, 426, "{request}{answer:?}");
        assert_eq!(answer.header("upgrade").as_deref(), Some("websocket"));
        assert_eq!(answer.header("sec-websocket-version").as_deref(), Some("13"));
        assert!(answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")), "{answer:?}");
    }
}

/// RFC 6455, section 4.2.1: a handshake without its key, or in HTTP/1.0, is malformed.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_handshakes_are_400() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for request in [
        upgrade("/probe").replace(key, ""),
        upgrade("/probe").replace("HTTP/1.1", "HTTP/1.0"),
        "this is no HTTP\r\n\r\n".to_owned(),
        "GET /probe HTTP/1.1\r\nno header\r\n\r\n".to_owned(),
    ] {
        assert_eq!(ask(&request).await.status, 400, "{request}");
    }
}

/// A path that no app has is 404, with or without an upgrade. The host does not decode or clean the path.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_are_404() {
    for path in ["/", "/nowhere", "/probe/", "/probe/below", "/PROBE", "//probe", "/x/../probe", "/%70robe"] {
        let answer = ask(&upgrade(path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains(path), "{answer:?}");
        assert_eq!(ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await.status, 404, "{path}");
    }
}

/// RFC 9112, section 9.3: after a 404 a connection may ask again, also for a WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_on_the_same_connection_may_become_a_websocket() {
    let host = TestHost::shared().await;
    let mut raw = Raw::connect(&host.address()).await;
    raw.send(upgrade("/nowhere")).await;
    assert_eq!(raw.answer().await.status, 404);
    raw.send("GET /probe HTTP/1.1\r\nHost: hassock.test\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 426);
    raw.send(upgrade("/probe?open=refuse")).await;
    assert_eq!(raw.answer().await.status, 403);
    raw.send(upgrade("/probe")).await;
    raw.accepted().await;
    raw.send(text("at last")).await;
    assert_eq!(raw.text().await, "at last");
}

/// A request may come in any number of packets.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_come_byte_by_byte() {
    let host = TestHost::shared().await;
    let mut raw = Raw::connect(&host.address()).await;
    for byte in upgrade("/probe").into_bytes() {
        raw.send([byte]).await;
    }
    raw.accepted().await;
    raw.send(close(1000, "")).await;
    assert_eq!(raw.closed().await.0, 1000);
}

/// RFC 6455, section 4.1: a client should wait for the 101. What it sends before is not lost, even while the module's
/// `open` still runs.
#[tokio::test(flavor = "multi_thread")]
async fn messages_before_the_answer_are_not_lost() {
    let host = TestHost::shared().await;
    for path in ["/probe?open=greet", "/probe?open=slow"] {
        let mut raw = Raw::connect(&host.address()).await;
        raw.send([upgrade(path).into_bytes(), text("with the request"), text("and")[..3].to_vec()].concat()).await;
        raw.send(&text("and")[3..]).await;
        let many: Vec<u8> = (0..1000).flat_map(|number| text(&format!("early {number}"))).collect();
        raw.send(many).await;
        raw.accepted().await;
        if path.ends_with("greet") {
            assert_eq!(raw.text().await, "welcome");
        }
        assert_eq!((raw.text().await, raw.text().await), ("with the request".to_owned(), "and".to_owned()));
        for number in 0..1000 {
            assert_eq!(raw.text().await, format!("early {number}"));
        }
    }
}

/// Invariant 5: `request_head_bytes` bounds what the host reads of a request. The answer is 431, if it can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_huge_request_is_refused() {
    let host = TestHost::shared().await;
    let long = "x".repeat(64 << 10);
    for request in [
        upgrade_with("/probe", &format!("X-Long: {long}\r\n")),
        upgrade_with("/probe", &"X-Many: x\r\n".repeat(10_000)),
        upgrade(&format!("/probe?{long}")),
        format!("GET /{long}"),
    ] {
        let mut raw = Raw::connect(&host.address()).await;
        // The host may hang up before it has read everything.
        let _ = raw.try_send(&request).await;
        if let Some(answer) = raw.try_answer().await {
            assert!([414, 431].contains(&answer.status), "{answer:?}");
        }
        assert_eq!(raw.end().await, []);
    }
    let fits = upgrade_with("/probe", &format!("X-Long: {}\r\n", &long[..8 << 10]));
    let mut raw = Raw::connect(&host.address()).await;
    raw.send(fits).await;
    raw.accepted().await;
}

/// The status for a client that sends this `Origin`.
async fn from_origin(host: &TestHost, origin: &'static str) -> u16 {
    let change = |request: &mut tokio_tungstenite::tungstenite::handshake::client::Request| {
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
        request.headers_mut().insert("host", HeaderValue::from_static("hassock.test"));
    };
    match Client::with(&host.address(), "/probe", change).await {
        Ok(client) => client.response.status().as_u16(),
        Err(_) => refused(&host.address(), "/probe", change).await.0,
    }
}

/// RFC 6455, section 10.2: without a list, only pages of the host itself may connect.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_hosts_may_not_connect() {
    let host = TestHost::shared().await;
    for (origin, status) in [
        ("http://hassock.test", 101),
        ("https://Hassock.test:443", 101),
        ("http://hassock.test:8080", 403),
        ("http://evil.test", 403),
        ("http://hassock.test.evil.test", 403),
        ("null", 403),
    ] {
        assert_eq!(from_origin(host, origin).await, status, "{origin}");
    }
    let evil = ask(&upgrade_with("/probe", "Origin: http://evil.test\r\n")).await;
    assert!(evil.status == 403 && evil.body.contains("http://evil.test"), "{evil:?}");
    assert_eq!(ask(&upgrade("/probe")).await.status, 101, "a client that is not a browser has no origin");
}

/// An origin that is not ASCII is one: it must not count as none.
#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_ascii_is_refused() {
    assert_eq!(ask(&upgrade_with("/probe", "Origin: http://h\u{e4}ssock.test\r\n")).await.status, 403);
}

/// `hosts`: a website can let its own name refer to this host, and its pages would count as the host's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_host_is_refused() {
    let app = app("echo", &example("echo"));
    let host = TestHost::start(&format!("hosts = [\"Hassock.test\", \"127.0.0.1\"]\n{app}")).await;
    for (name, status) in [("hassock.test", 101), ("HASSOCK.test:8080", 101), ("127.0.0.1:1", 101), ("evil.test", 421)]
    {
        let request = upgrade_with("/echo", &format!("Origin: http://{name}\r\n"));
        let mut raw = Raw::connect(&host.address()).await;
        raw.send(request.replace("Host: hassock.test", &format!("Host: {name}"))).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        assert!(status == 101 || answer.body.contains("`hosts`"), "{answer:?}");
    }
}

/// RFC 6455, section 10.2: with a list, only its origins may connect; `"*"` allows all.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_origins_is_all_there_is() {
    let host = TestHost::probe("origins = [\"https://example.org\", \"https://shop.example\"]\n").await;
    for (origin, status) in [
        ("https://example.org", 101),
        ("https://shop.example", 101),
        ("http://example.org", 403),
        ("http://hassock.test", 403),
    ] {
        assert_eq!(from_origin(&host, origin).await, status, "{origin}");
    }
    let open = TestHost::probe("origins = [\"*\"]\n").await;
    assert_eq!(from_origin(&open, "http://evil.test").await, 101);
    assert_eq!(from_origin(&open, "null").await, 101);
}

/// The best path selects the app: an exact one before one that ends in `/*`, a longer one before a shorter one.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_exact_path_leads_to_its_app() {
    let module = guest("probe");
    let more = "databases = { main = \"read-write\" }\n";
    let mut config = app_with_database("all", &module, "sqlite::memory:").replace("\"/all\"", "\"/room/*\"");
    for (name, path) in [("deep", "/room/deep/*"), ("exact", "/room/deep/exact")] {
        config += &app(name, &module).replace(&format!("\"/{name}\""), &format!("\"{path}\""));
        config += more;
    }
    for name in ["all", "deep", "exact"] {
        config += &format!("[apps.{name}.settings]\nname = \"{name}\"\n");
    }
    let host = TestHost::start(&config).await;
    for (path, name) in [
        ("/room/", "all"),
        ("/room/1", "all"),
        ("/room/deep", "all"),
        ("/room/deeper/1", "all"),
        ("/room/deep/", "deep"),
        ("/room/deep/1/2?query=/room/deep/exact", "deep"),
        ("/room/deep/exact/", "deep"),
        ("/room/deep/exact", "exact"),
        ("/room/deep/exact?query", "exact"),
    ] {
        let mut client = host.connect(path).await;
        assert_eq!(client.probe(json!({ "setting": "name" })).await, name, "{path}");
    }
    for path in ["/room", "/rooms/1", "/", "/other/room/1"] {
        assert_eq!(refused(&host.address(), path, |_| {}).await.0, 404, "{path}");
    }
}

/// The test page is at `/` if the config says so, for plain HTTP requests, and lists the apps.
#[tokio::test(flavor = "multi_thread")]
async fn the_test_page_is_served_if_it_is_asked_for() {
    let plain = "GET / HTTP/1.1\r\nHost: hassock.test\r\n\r\n";
    assert_eq!(ask(plain).await.status, 404, "not by default");
    let config = app_with_database("faults", &guest("faults"), "sqlite::memory:");
    let host = TestHost::start(&format!("test_page = true\n{config}")).await;
    let mut raw = Raw::connect(&host.address()).await;
    raw.send(plain).await;
    let page = raw.answer().await;
    assert_eq!((page.status, page.header("content-type").as_deref()), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    assert!(page.body.contains(r#"{"app":"faults","path":"/faults"}"#), "the app is not in the page");
    assert!(page.body.contains("</html>") && !page.body.contains("{{"), "the page is not complete");
    raw.send(plain.replace("GET /", "GET /other")).await;
    assert_eq!(raw.answer().await.status, 404);
    raw.send(upgrade("/")).await;
    assert_eq!(raw.answer().await.status, 404, "the page is not a WebSocket");
    raw.send(upgrade("/faults")).await;
    raw.accepted().await;
}

/// The client library is at `/hassock.js` for pages of any origin, unless the config says otherwise or an app has that path.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_is_served() {
    let request =
        |method: &str, more: &str| format!("{method} /hassock.js HTTP/1.1\r\nHost: hassock.test\r\n{more}\r\n");
    let library = std::fs::read_to_string(hassock_tests::workspace().join("host/client/dist/hassock.js")).unwrap();
    let answer = ask(&request("GET", "")).await;
    assert_eq!((answer.status, &answer.body), (200, &library));
    let header = |name: &str| answer.header(name).unwrap_or_default();
    assert_eq!(header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header("cache-control"), "public, max-age=600");
    assert_eq!(header("access-control-allow-origin"), "*");
    let tag = header("etag");

    let unchanged = ask(&request("GET", &format!("If-None-Match: \"other\", W/{tag}\r\n"))).await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(unchanged.header("etag").as_deref(), Some(&*tag));
    // The connection ends behind the head.
    let head = ask(&request("HEAD", "Connection: close\r\n")).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some(library.len().to_string())));
    assert_eq!(head.body, "");
    assert_eq!(ask(&request("POST", "Content-Length: 0\r\n")).await.status, 404);

    let off = TestHost::start(&format!("client_library = false\n{}", app("commands", &example("commands")))).await;
    let mut raw = Raw::connect(&off.address()).await;
    raw.send(request("GET", "")).await;
    assert_eq!(raw.answer().await.status, 404);
    let own = app("commands", &example("commands")).replace("\"/commands\"", "[\"/commands\", \"/hassock.js\"]");
    let own = TestHost::start(&own).await;
    let mut raw = Raw::connect(&own.address()).await;
    raw.send(request("GET", "")).await;
    assert_eq!(raw.answer().await.status, 426);
}
