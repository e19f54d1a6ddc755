//! What each operation does.

use futures_util::SinkExt;
use hassock_tests::{Closed, Events, within};
use tokio_tungstenite::tungstenite::Message;

use super::*;

/// A published message reaches the subscribers of its topic and nobody else: text as text, JSON as it was written, base64 as
/// bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_published_message_reaches_subscribers() {
    let bench = Bench::start().await;
    let mut subscriber = bench.host.connect("/probe?topic=news").await;
    let mut other = bench.host.connect("/probe?topic=sport").await;
    assert_eq!(bench.done("publish", json!({ "topic": "news", "text": "Zażółć 😀\0" })).await["reached"], 1);
    assert_eq!(subscriber.text().await, "Zażółć 😀\0");
    // As it was written, although a program that read it would lose digits.
    let written = "{ \"price\" : 0.10, \"big\": 1e400,\n \"a\": null }";
    let body = format!("{{\"json\": {written}, \"topic\": \"news\"}}");
    succeeded(bench.ask(ALL, "POST /v1/apps/probe/publish", Some(&body)).await);
    assert_eq!(subscriber.text().await, written);
    bench.done("publish", json!({ "topic": "news", "json": null })).await;
    assert_eq!(subscriber.text().await, "null");
    bench.done("publish", json!({ "topic": "news", "base64": "AP+A" })).await;
    assert_eq!(subscriber.message().await, Message::binary(vec![0, 255, 128]));
    bench.done("publish", json!({ "topic": "news", "text": "" })).await;
    assert_eq!(subscriber.text().await, "");
    assert_eq!(bench.done("publish", json!({ "topic": "nobody", "text": "x" })).await["reached"], 0);
    assert_eq!(bench.done("publish", json!({ "topic": "sport", "text": "goal" })).await["reached"], 1);
    assert_eq!(other.text().await, "goal", "it got nothing before");
}

/// The author of a message does not get it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_left_out() {
    let bench = Bench::start().await;
    let mut author = bench.host.connect("/probe?topic=news").await;
    let mut reader = bench.host.connect("/probe?topic=news").await;
    let id = id_of(&mut author).await;
    let published = bench.done("publish", json!({ "topic": "news", "text": "mine", "except": id })).await;
    assert_eq!(published["reached"], 1);
    assert_eq!(reader.text().await, "mine");
    bench.done("publish", json!({ "topic": "news", "text": "all", "except": id as f64 + 1e9 })).await;
    assert_eq!(author.text().await, "all");
}

/// A broadcast has a result for each topic, and one that cannot be does not stop the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_reaches_each_topic() {
    let bench = Bench::start().await;
    let mut news = bench.host.connect("/probe?topic=news").await;
    let mut sport = bench.host.connect("/probe?topic=sport").await;
    // 256 characters, and more bytes than a topic has.
    let long = "ä".repeat(256);
    let done = bench.done("broadcast", json!({ "topics": ["news", long, "nobody", "sport"], "text": "hi" })).await;
    let reached: Vec<_> =
        done["results"].as_array().unwrap().iter().map(|one| one["published"]["reached"].as_u64()).collect();
    assert_eq!(reached, [Some(1), None, Some(0), Some(1)]);
    assert_eq!(done["results"][1]["error"]["code"], "topic_invalid");
    assert_eq!((news.text().await, sport.text().await), ("hi".to_owned(), "hi".to_owned()));
    assert_eq!(bench.done("broadcast", json!({ "topics": [], "text": "hi" })).await, json!({ "results": [] }));
}

/// Commands are carried out in their order, each has its result, and one that fails does not stop those after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_a_result_for_each_command() {
    let bench = Bench::start().await;
    let mut client = bench.host.connect("/probe?topic=news").await;
    let id = id_of(&mut client).await;
    let commands = json!({ "commands": [
        { "publish": { "topic": "news", "json": [1] } },
        { "send": { "connection": 4_000_000, "text": "nobody" } },
        { "send": { "connection": id, "base64": "aGk=" } },
        { "publish": { "topic": "ä".repeat(200), "text": "" } },
        { "close": { "connection": id, "code": 4001, "reason": "bye" } },
        { "send": { "connection": id, "text": "too late" } },
    ] });
    let done = bench.done("batch", commands).await;
    let results = done["results"].as_array().unwrap();
    assert_eq!(results[0]["published"]["reached"], 1);
    assert_eq!(results[1]["error"]["code"], "connection_unknown");
    assert_eq!(results[2], json!({ "sent": {} }));
    assert_eq!(results[3]["error"]["code"], "topic_invalid");
    assert_eq!(results[4], json!({ "closed": {} }));
    let late = results[5]["error"]["code"].as_str().unwrap();
    assert!(["connection_closing", "connection_unknown"].contains(&late), "{late}");
    assert_eq!(client.text().await, "[1]");
    assert_eq!(client.message().await, Message::binary("hi"));
    assert_eq!(client.closed().await, Closed { code: 4001, reason: "bye".to_owned() });
    // A malformed command anywhere: nothing is carried out.
    let mut client = bench.host.connect("/probe?topic=news").await;
    for (wrong, expected) in [
        (json!({ "pulish": {} }), "unknown variant `pulish`, expected one of `publish`, `send`, `close`"),
        (json!({ "send": { "connection": 1 } }), "`commands[1]`: there is no message"),
        (json!({ "send": { "connection": 1, "txt": "" } }), "`commands[1].send.txt`: unknown field `txt`"),
    ] {
        let commands = json!({ "commands": [{ "publish": { "topic": "news", "text": "x" } }, wrong] });
        let refused = bench.post("batch", commands).await;
        assert_eq!(failure(&refused), (400, "body_invalid".to_owned()));
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "missing {expected:?} in {message}");
    }
    assert_eq!(client.ask("still").await, "still", "it got nothing before");
}

/// A token that allows only some commands of a batch has these carried out.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_needs_the_scope_of_each_command() {
    let bench = Bench::start().await;
    let mut client = bench.host.connect("/probe?topic=news").await;
    let id = id_of(&mut client).await;
    let commands = json!({ "commands": [
        { "publish": { "topic": "news", "text": "one" } },
        { "send": { "connection": id, "text": "two" } },
        { "close": { "connection": id } },
    ] });
    for (token, expected) in [
        ("publish-0123456789abcdef", ["published", "error", "error"]),
        ("send-0123456789abcdef", ["error", "sent", "error"]),
        ("topics-0123456789abcdef", ["error", "error", "error"]),
        ("close-0123456789abcdef", ["error", "error", "closed"]),
    ] {
        let done = bench.ask(token, "POST /v1/apps/probe/batch", Some(&commands.to_string())).await.json();
        let results = done["results"].as_array().unwrap();
        let words: Vec<_> = results.iter().map(|result| result.as_object().unwrap().keys().next().unwrap()).collect();
        assert_eq!(words, expected, "{token}");
        let errors = results.iter().filter_map(|result| result["error"]["code"].as_str());
        assert!(errors.into_iter().all(|code| code == "missing_scope"), "{results:?}");
    }
    assert_eq!((client.text().await, client.text().await), ("one".to_owned(), "two".to_owned()));
    assert_eq!(client.closed().await.code, 1000);
}

/// A message for one connection reaches it alone, and a close ends it. Its module is told that the host has closed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_sent_to_and_closed() {
    let events = Events::new().await;
    let host = events.host(&format!("[api]\nlisten = \"127.0.0.1:0\"\n{TOKENS}")).await;
    let bench = Bench { host };
    let (mut one, mut other) = (bench.host.connect("/probe").await, bench.host.connect("/probe").await);
    let (id, other_id) = (id_of(&mut one).await, id_of(&mut other).await);
    assert_eq!(bench.done(&format!("connections/{id}/send"), json!({ "text": "for you" })).await, json!({}));
    assert_eq!(one.text().await, "for you");
    let close = json!({ "code": 4003, "reason": "signed out" });
    assert_eq!(bench.done(&format!("connections/{id}/close"), close).await, json!({}));
    assert_eq!(one.closed().await, Closed { code: 4003, reason: "signed out".to_owned() });
    events.wait("closed", 1).await;
    // Without a body: a normal closure.
    let line = format!("POST /v1/apps/probe/connections/{other_id}/close");
    succeeded(bench.ask(ALL, &line, None).await);
    assert_eq!(other.closed().await, Closed { code: 1000, reason: String::new() });
    assert_eq!(events.wait("closed", 2).await, ["4003 Host signed out", "1000 Host "]);
}

/// Topics are listed page by page, with how many subscribers they have; names may contain anything.
#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_and_counted() {
    let bench = Bench::with("page_items = 3", "").await;
    let mut client = bench.host.connect("/probe?topic=room:a").await;
    let _second = bench.host.connect("/probe?topic=room:a").await;
    for topic in ["room:b/ä?", "room:c", "news", "room:d"] {
        client.probe(json!({ "subscribe": topic })).await;
    }
    let topic = |name: &str, subscribers: u64| json!({ "name": name, "subscribers": subscribers });
    let first = bench.get("topics").await;
    assert_eq!(first, json!({ "topics": [topic("news", 1), topic("room:a", 2), topic("room:b/ä?", 1)], "more": true }));
    let next = bench.get("topics?after=room:b%2F%C3%A4%3F").await;
    assert_eq!(next, json!({ "topics": [topic("room:c", 1), topic("room:d", 1)], "more": false }));
    let rooms = bench.get("topics?prefix=room:&limit=1").await;
    assert_eq!(rooms, json!({ "topics": [topic("room:a", 2)], "more": true }));
    assert_eq!(bench.get("topics?prefix=x").await, json!({ "topics": [], "more": false }));
    assert_eq!(bench.get("topics/room:b%2F%C3%A4%3F/subscribers").await, json!({ "subscribers": 1 }));
    assert_eq!(bench.get("topics/room:a/subscribers").await, json!({ "subscribers": 2 }));
    assert_eq!(bench.get("topics/nobody/subscribers").await, json!({ "subscribers": 0 }));
    client.socket.close(None).await.unwrap();
    client.closed().await;
    let none = || async { bench.get("topics/room:c/subscribers").await == json!({ "subscribers": 0 }) };
    hassock_tests::eventually("the topic to be left", none).await;
}

/// Who is subscribed to a topic, page by page, with what the module tells others about them.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed() {
    let bench = Bench::with("page_items = 2", "").await;
    let (mut one, mut two) =
        (bench.host.connect("/probe?topic=a%2Fb").await, bench.host.connect("/probe?topic=a%2Fb").await);
    let mut three = bench.host.connect("/probe?topic=a%2Fb").await;
    let ids = [id_of(&mut one).await, id_of(&mut two).await, id_of(&mut three).await];
    two.probe(json!({ "presence": "Ada" })).await;
    let first = bench.get("topics/a%2Fb/presence").await;
    let data = first["members"][1]["data"].as_str().unwrap().to_owned();
    assert!(data.contains("Ada"), "{data}");
    let members = json!([{ "connection": ids[0] }, { "connection": ids[1], "data": data }]);
    assert_eq!(first, json!({ "members": members, "count": 3, "more": true }));
    let rest = bench.get(&format!("topics/a%2Fb/presence?after={}&limit=5", ids[1])).await;
    assert_eq!(rest, json!({ "members": [{ "connection": ids[2] }], "count": 3, "more": false }));
    assert_eq!(bench.get("topics/nobody/presence").await, json!({ "members": [], "count": 0, "more": false }));
    let wrong = bench.ask(ALL, "GET /v1/apps/probe/topics/a/presence?after=x", None).await;
    assert_eq!(failure(&wrong), (400, "parameter_invalid".to_owned()));
}

/// HEAD is answered as GET, without the body.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_a_get_without_its_body() {
    let bench = Bench::start().await;
    let mut raw = Raw::connect(&bench.address()).await;
    raw.send(request(ALL, "HEAD /v1/apps/probe/topics", None).replace("host: x", "host: x\r\nconnection: close")).await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let whole = bench.ask(ALL, "GET /v1/apps/probe/topics", None).await;
    assert_eq!(answer.header("content-length"), Some(whole.body.len().to_string()));
}

/// Two hundred requests on one connection come out in the order in which they were sent.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_sender_keep_their_order() {
    let bench = Bench::start().await;
    let mut client = bench.host.connect("/probe?topic=news").await;
    let mut raw = Raw::connect(&bench.address()).await;
    for number in 0..200 {
        let body = json!({ "topic": "news", "text": number.to_string() }).to_string();
        raw.send(request(ALL, "POST /v1/apps/probe/publish", Some(&body))).await;
        assert_eq!(raw.answer().await.status, 200);
    }
    for number in 0..200 {
        assert_eq!(client.text().await, number.to_string());
    }
    client.socket.send(Message::text("end")).await.unwrap();
    assert_eq!(within("the end", client.text()).await, "end");
}
