//! Positions, histories, and messages that are published once, through the API.

use super::*;

/// Topics that begin with `kept:` keep five messages.
const KEPT: &str = "[apps.probe.topics.\"kept:*\"]\nhistory = 5\n";

/// The position of a published message.
fn position(published: &Value) -> String {
    published["position"].as_str().unwrap_or_else(|| panic!("no position: {published}")).to_owned()
}

/// The texts of a page.
fn texts(page: &Value) -> Vec<String> {
    let messages = page["messages"].as_array().unwrap().iter();
    messages.map(|message| message["text"].as_str().unwrap_or("?").to_owned()).collect()
}

/// A message that is sent again is not published again: the response tells what became of the first one. The id may be in the
/// body or in the header, and counts within its topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_an_id_is_published_once() {
    let bench = Bench::with("", KEPT).await;
    let mut client = bench.host.connect("/probe?topic=kept:a").await;
    let order = json!({ "topic": "kept:a", "text": "paid", "id": "order-1" });
    let first = bench.done("publish", order.clone()).await;
    assert_eq!((&first["reached"], &first["duplicate"]), (&json!(1), &json!(false)));
    let again = bench.done("publish", order.clone()).await;
    assert_eq!(again, json!({ "reached": 1, "position": first["position"], "duplicate": true }));
    let line = "POST /v1/apps/probe/publish";
    let in_header = |body: &Value| {
        let request = request(ALL, line, Some(&body.to_string()));
        request.replace("host: x\r\n", "host: x\r\nIdempotency-Key: order-1\r\n")
    };
    let mut raw = Raw::connect(&bench.address()).await;
    raw.send(in_header(&json!({ "topic": "kept:a", "text": "paid" }))).await;
    assert_eq!(succeeded(raw.answer().await), again);
    // The one of the body counts.
    raw.send(in_header(&json!({ "topic": "kept:a", "text": "sent", "id": "order-2" }))).await;
    assert_eq!(succeeded(raw.answer().await)["duplicate"], false);
    let broadcast = json!({ "topics": ["kept:a", "kept:b"], "text": "paid", "id": "order-1" });
    let results = bench.done("broadcast", broadcast).await["results"].clone();
    let duplicates: Vec<_> =
        results.as_array().unwrap().iter().map(|one| one["published"]["duplicate"].clone()).collect();
    assert_eq!(duplicates, [true, false]);
    let batch = json!({ "commands": [{ "publish": order }, { "publish": { "topic": "kept:a", "text": "end" } }] });
    let results = bench.done("batch", batch).await["results"].clone();
    assert_eq!(results[0]["published"]["duplicate"], true);
    assert_eq!([client.text().await, client.text().await, client.text().await], ["paid", "sent", "end"]);
    let at_the_same_time = json!({ "topic": "kept:a", "text": "once", "id": "order-3" });
    let all = futures_util::future::join_all((0..20).map(|_| bench.done("publish", at_the_same_time.clone()))).await;
    assert_eq!(all.iter().filter(|one| one["duplicate"] == false).count(), 1, "{all:?}");
    bench.done("publish", json!({ "topic": "kept:a", "text": "last" })).await;
    assert_eq!([client.text().await, client.text().await], ["once", "last"]);
}

/// A topic with a history tells positions, and lists what it keeps: the last messages, or those after a position, page by page.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_read_page_by_page() {
    let bench = Bench::with("page_items = 3", KEPT).await;
    let mut positions = Vec::new();
    for text in ["one", "two", "three", "four"] {
        positions.push(position(&bench.done("publish", json!({ "topic": "kept:a", "text": text, "id": text })).await));
    }
    bench.done("publish", json!({ "topic": "kept:a", "text": "not kept", "skip_history": true })).await;
    let last = bench.get("topics/kept:a/history").await;
    assert_eq!(
        (texts(&last), &last["more"], &last["latest"]),
        (["two", "three", "four"].map(str::to_owned).to_vec(), &json!(false), &json!(positions[3]))
    );
    assert_eq!(last["messages"][0], json!({ "position": positions[1], "id": "two", "text": "two" }));
    let after = async |position: &str, limit: u32| {
        bench.get(&format!("topics/kept:a/history?since={position}&limit={limit}")).await
    };
    let page = after(&positions[0], 2).await;
    assert_eq!((texts(&page), &page["more"]), (["two", "three"].map(str::to_owned).to_vec(), &json!(true)));
    let page = after(page["messages"][1]["position"].as_str().unwrap(), 2).await;
    assert_eq!((texts(&page), &page["more"]), (vec!["four".to_owned()], &json!(false)));
    let page = after(&positions[3], 2).await;
    assert_eq!((texts(&page), page.get("gap")), (Vec::new(), None));
    for number in 0..4 {
        bench.done("publish", json!({ "topic": "kept:a", "base64": "AA==", "id": number.to_string() })).await;
    }
    let page = after(&positions[0], 100).await;
    assert_eq!((&page["gap"], &page["messages"][0]["text"]), (&json!("count"), &json!("four")));
    assert_eq!(page["messages"][1]["base64"], "AA==");
    assert_eq!(after("0-1", 1).await["gap"], "restart");
    // A topic with a history exists without subscribers.
    assert_eq!(bench.get("topics").await["topics"], json!([{ "name": "kept:a", "subscribers": 0 }]));
    assert!(bench.done("publish", json!({ "topic": "other", "text": "x" })).await.get("position").is_none());
}

/// A page has no more bytes than a request may have, but at least one message.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_history_is_bounded() {
    let bench =
        Bench::with("body_bytes = \"150KiB\"", &KEPT.replace("history = 5", "history = 5\nhistory_bytes = \"1MiB\""))
            .await;
    let mut first = None;
    for letter in ["a", "b", "c"] {
        let published = bench.done("publish", json!({ "topic": "kept:a", "text": letter.repeat(100 << 10) })).await;
        first.get_or_insert(position(&published));
    }
    let newest = bench.get("topics/kept:a/history").await;
    assert_eq!(texts(&newest).iter().map(|text| &text[..1]).collect::<Vec<_>>(), ["c"]);
    let next = bench.get(&format!("topics/kept:a/history?since={}", first.unwrap())).await;
    assert_eq!(texts(&next).iter().map(|text| &text[..1]).collect::<Vec<_>>(), ["b"]);
    assert_eq!(next["more"], true);
}

/// The command line tells positions too, and publishes once.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_tells_positions() {
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let site = hassock_tests::Site::new(&format!("[admin]\nlisten = \"unix:admin.sock\"\n{probe}{KEPT}"));
    let host = site.serve().await;
    let tail = hassock_tests::Process::hassock(site.folder(), ["tail", "probe", "kept:a", "--json"]);
    tail.complains("Ctrl-C ends").await;
    site.put("hi", "hi");
    let first = site.run("publish probe kept:a hi --id 7").await.stdout;
    let (_, position) = first.trim_end().split_once("published to kept:a: 0 connections reached, at ").expect(&first);
    let again = site.run("publish probe kept:a hi --id 7").await.stdout;
    assert_eq!(again, format!("published before to kept:a: 0 connections reached, at {position}\n"));
    let last = site.run("publish probe kept:a hi --json").await.stdout;
    let last: Value = serde_json::from_str(&last).unwrap();
    tail.prints(last["position"].as_str().unwrap()).await;
    let seen: Vec<Value> = tail.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let positions: Vec<_> = seen.iter().map(|line| line["position"].as_str().unwrap()).collect();
    assert_eq!(positions, [position, last["position"].as_str().unwrap()]);
    host.stop().await;
}
