//! Topics of a cluster: one order for all subscribers, and nothing missed between hosts.

use std::time::Duration;

use hassock_tests::{Client, Speaker};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

/// The numbered messages of publishers at all hosts.
#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_of_all_hosts_see_one_order() {
    let nats = Nats::start().await;
    let hosts = [host(&nats).await, host(&nats).await, host(&nats).await];
    let mut subscribers = Vec::new();
    for host in hosts.iter().chain(&hosts) {
        subscribers.push(subscribed(host, "long").await.0);
    }
    let mut publishers = JoinSet::new();
    for (number, host) in hosts.iter().enumerate() {
        let mut client = host.connect("/probe").await;
        publishers.spawn(async move {
            for message in 0..200 {
                let text = format!("{number} {message}");
                let done = client.ask(json!({ "publish": { "topic": "long", "text": text } }).to_string()).await;
                assert_eq!(done, "{\"ok\":2}", "those of this host are counted");
            }
        });
    }
    while let Some(done) = publishers.join_next().await {
        done.unwrap();
    }
    let mut all = Vec::new();
    for subscriber in &mut subscribers {
        all.push(payloads(subscriber, 600).await);
    }
    for one in &all {
        assert!(*one == all[0], "subscribers see different orders");
    }
    for number in 0..3 {
        let of_one = all[0].iter().filter(|text| text.starts_with(&format!("{number} ")));
        let expected: Vec<_> = (0..200).map(|message| format!("{number} {message}")).collect();
        assert!(of_one.eq(&expected), "the messages of a publisher stay in their order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_at_another_host() {
    let nats = Nats::start().await;
    let (a, b, c) = (host(&nats).await, host(&nats).await, host(&nats).await);
    let (mut speaker, first) = subscribed(&a, "kept").await;
    publish(&b, "kept", "one").await;
    let one = speaker.next().await;
    assert_eq!(one.payload, "one");
    let position = one.position();
    drop(speaker);
    for text in ["two", "three"] {
        publish(&b, "kept", text).await;
    }
    // Nobody at this host has had the topic.
    let mut back = Speaker::since(&c.address(), "/probe?topic=kept", json!({ "kept": position })).await;
    let header = back.next().await.header;
    assert_eq!((&header["recovered"], header.get("gap")), (&json!(true), None), "{header}");
    assert_eq!(payloads(&mut back, 2).await, ["two", "three"]);
    // The position before the first message, when nothing was there.
    let mut anew = Speaker::since(&b.address(), "/probe?topic=kept", json!({ "kept": first["position"] })).await;
    assert_eq!(anew.next().await.header["recovered"], true);
    assert_eq!(payloads(&mut anew, 3).await, ["one", "two", "three"]);
    publish(&a, "kept", "four").await;
    for speaker in [&mut back, &mut anew] {
        assert_eq!(payloads(speaker, 1).await, ["four"]);
    }
}

/// The history is longer by one than clients may read, so that the last one that has everything is not told of a gap.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_any_more_is_a_gap() {
    let nats = Nats::start().await;
    let (a, b) = (host(&nats).await, host(&nats).await);
    let (mut speaker, start) = subscribed(&a, "kept").await;
    let mut positions = vec![start["position"].clone()];
    for number in 1..=12 {
        publish(&b, "kept", &number.to_string()).await;
        positions.push(json!(speaker.next().await.position()));
    }
    for (seen, gap) in [(0, Some("count")), (1, Some("count")), (2, None), (12, None)] {
        for host in [&a, &b] {
            let since = json!({ "kept": positions[seen] });
            let mut back = Speaker::since(&host.address(), "/probe?topic=kept", since).await;
            let header = back.next().await.header;
            assert_eq!(header.get("gap").and_then(Value::as_str), gap, "{seen} {header}");
            let expected: Vec<String> = (seen.max(2) + 1..=12).map(|number| number.to_string()).collect();
            assert_eq!(payloads(&mut back, expected.len()).await, expected);
        }
    }
    let mut other = Speaker::since(&b.address(), "/probe?topic=kept", json!({ "kept": "7-3" })).await;
    assert_eq!(other.next().await.header["gap"], "restart");
}

/// Topics without a history, and messages that nobody keeps.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_keeps_reaches_each_host_once() {
    let nats = Nats::start().await;
    let (a, b) = (host(&nats).await, host(&nats).await);
    for topic in ["plain", "kept"] {
        let (mut here, _) = subscribed(&a, topic).await;
        let (mut there, _) = subscribed(&b, topic).await;
        let skip = json!({ "publish-with": { "topic": topic, "text": "x", "skip-history": true } });
        // The other host may have to listen first.
        let mut client = a.connect("/probe").await;
        let mut heard = false;
        while !heard {
            client.ask(skip.to_string()).await;
            let next = timeout(Duration::from_millis(200), there.next()).await;
            heard = next.is_ok_and(|spoken| spoken.payload == "x");
        }
        client.ask(skip.to_string().replace("\"x\"", "\"last\"")).await;
        while there.next().await.payload != "last" {}
        let mut count = 0;
        loop {
            match here.next().await.payload.as_str() {
                "x" => count += 1,
                "last" => break,
                other => panic!("{other}"),
            }
        }
        assert!(count >= 1);
        let mut anew = Speaker::connect(&b.address(), &format!("/probe?topic={topic}")).await;
        anew.next().await;
        client.ask(skip.to_string().replace("\"x\"", "\"again\"")).await;
        assert_eq!(payloads(&mut anew, 1).await, ["again"], "it was not kept, and comes once");
    }
}

/// The ids of connections are those of one host only, so that the right one is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_left_out_at_its_own_host() {
    let nats = Nats::start().await;
    let (a, b) = (host(&nats).await, host(&nats).await);
    let (mut author, _) = subscribed(&a, "kept").await;
    let (mut other, _) = subscribed(&b, "kept").await;
    let (mine, theirs) =
        (author.connected["connection"].as_u64().unwrap(), other.connected["connection"].as_u64().unwrap());
    assert_ne!(mine, theirs);
    assert!(mine.max(theirs) < 1 << 53 && mine >> 43 != theirs >> 43, "{mine:x} {theirs:x}");
    author.send(&json!({ "publish-except": { "topic": "kept", "text": "from a" } }).to_string()).await;
    assert_eq!(other.next().await.payload, "from a");
    publish(&b, "kept", "from b").await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "from b") {
        heard.push(author.next().await.payload);
    }
    assert!(!heard.contains(&"from a".to_owned()), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_gets_positions_and_histories_of_the_cluster() {
    let nats = Nats::start().await;
    let (a, b) = (host(&nats).await, host(&nats).await);
    let (mut here, mut there): (Client, Client) = (a.connect("/probe").await, b.connect("/probe").await);
    let with = |id: &str| json!({ "publish-with": { "topic": "kept", "text": "hello", "id": id } });
    let one = here.probe(with("1")).await;
    assert_eq!((&one["duplicate"], &one["reached"]), (&json!(false), &json!(0)));
    let again = there.probe(with("1")).await;
    assert_eq!((&again["duplicate"], &again["position"]), (&json!(true), &one["position"]));
    let two = there.probe(with("2")).await;
    let page = here.probe(json!({ "history": { "topic": "kept", "limit": 10 } })).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 2, "{page}");
    assert_eq!(page["latest"], two["position"]);
    let page = here.probe(json!({ "history": { "topic": "kept", "since": one["position"], "limit": 10 } })).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1, "{page}");
}
