//! `hassock tail` as an operator uses it: the real binary asks a running one.

use hassock_tests::{Daemon, Operator, Site, TestHost, app_with_database, guest, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::publish::site;
use super::*;

/// A tail that has begun.
async fn tail(site: &Site, arguments: &str) -> Process {
    let tail = Process::hassock(site.folder(), arguments.split(' '));
    tail.complains("Ctrl-C ends").await;
    tail
}

/// A client of the app, whose module publishes.
async fn publisher(host: &Daemon) -> hassock_tests::Client {
    host.connect("/chat").await
}

/// Each message is a line: those that the module publishes, and those that come from outside. What would break a line is escaped.
/// Other topics are not shown, and nobody is told that there is one subscriber more.
#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_a_line() {
    let site = site("");
    let host = site.serve().await;
    let mut client = publisher(&host).await;
    let publish = |topic: &str, text: &str| json!({ "publish": { "topic": topic, "text": text } });
    client.probe(publish("news", "before")).await;
    let (plain, objects) = (tail(&site, "tail chat news").await, tail(&site, "tail chat news --json").await);
    assert_eq!(client.probe(publish("news", "one")).await, 0, "a tail is not a subscriber");
    client.probe(publish("sport", "goal")).await;
    client.probe(publish("news", "two\nlines\u{1b}[31m")).await;
    site.put("bytes", b"\xff\0");
    assert_eq!(site.run("publish chat news bytes --binary").await.code, Some(0));
    plain.prints("base64: /wA=\n").await;
    assert_eq!(plain.stdout(), "one\ntwo\\nlines\\u{1b}[31m\nbase64: /wA=\n");
    objects.prints("/wA=\"").await;
    let seen: Vec<Value> = objects.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&seen[0]["text"], &seen[0]["reached"]), (&json!("one"), &json!(0)));
    assert_eq!((&seen[1]["text"], &seen[2]["base64"]), (&json!("two\nlines\u{1b}[31m"), &json!("/wA=")));
    assert!(seen.iter().all(|line| line["at"].as_str().is_some_and(|at| at.ends_with('Z'))), "{seen:?}");
    plain.ctrl_c();
    assert_eq!(plain.ends().await.code, Some(0));
    // The host stops: the tail says so, and that is no failure.
    host.stop().await;
    let ended = objects.ends().await;
    assert!(ended.code == Some(0) && ended.stderr.contains("the host stops"), "{ended:?}");
}

/// An app that the config no longer has, one that it never had, and a host that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_says_why_it_ends() {
    let site = site("");
    let host = site.serve().await;
    for (arguments, expected) in [
        ("tail nobody news".to_owned(), "there is no app `nobody`; the config has `chat`"),
        (format!("tail chat {}", "x".repeat(257)), "`topic` has 1 to 256 bytes, and not 257"),
    ] {
        let refused = site.run(&arguments).await;
        assert!(refused.code == Some(1) && refused.stderr.contains(expected), "{refused:?}");
    }
    let gone = tail(&site, "tail chat news").await;
    let other = app_with_database("other", &guest("probe"), "sqlite::memory:");
    site.configure(&format!("[admin]\nlisten = \"unix:admin.sock\"\n\n{other}"));
    host.process.signal("HUP");
    let ended = gone.ends().await;
    assert!(ended.code == Some(0) && ended.stderr.contains("no longer has the app"), "{ended:?}");
    let killed = tail(&site, "tail other news").await;
    host.process.signal("KILL");
    let ended = killed.ends().await;
    assert!(ended.code == Some(1) && ended.stderr.contains("went away before the tail ended"), "{ended:?}");
}

/// A tail that is not read does not keep anybody waiting, nor fill the memory: it ends when more than `tail_bytes` wait, and says so
/// after what came before.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_is_not_read_ends_and_nobody_waits() {
    let app = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let host = TestHost::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\ntail_bytes = \"1MiB\"\n{app}")).await;
    let operator = Operator::of(&host);
    let mut line = operator.connect().await;
    line.write_all(operator.head("GET /v1/apps/probe/tail?topic=news", "").as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("\"began\"") {
        assert!(within("the beginning", line.read_buf(&mut seen)).await.unwrap() > 0);
    }
    let mut client = host.connect("/probe").await;
    let text = "x".repeat(100_000);
    // More than the queue and all buffers of the line hold.
    for _ in 0..200 {
        client.probe(json!({ "publish": { "topic": "news", "text": text } })).await;
    }
    within("the end", line.read_to_end(&mut seen)).await.unwrap();
    let seen = String::from_utf8_lossy(&seen);
    let messages = seen.matches(&text).count();
    assert!((1..200).contains(&messages), "{messages}");
    let last = seen.rfind("too-slow").expect("the tail says why it ends");
    assert!(seen[last..].contains("`admin.tail_bytes` = 1"), "{}", &seen[last..]);
    assert!(seen.rfind(&text).is_some_and(|place| place < last));
    // Another one begins with what comes next.
    drop(line);
    let mut line = operator.connect().await;
    line.write_all(operator.head("GET /v1/apps/probe/tail?topic=news", "").as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("\"began\"") {
        assert!(within("the beginning", line.read_buf(&mut seen)).await.unwrap() > 0);
    }
    client.probe(json!({ "publish": { "topic": "news", "text": "again" } })).await;
    while !String::from_utf8_lossy(&seen).contains("\"again\"") {
        assert!(within("the message", line.read_buf(&mut seen)).await.unwrap() > 0);
    }
    drop(line);
}
