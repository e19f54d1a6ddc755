//! Topics: which connections are subscribed, what they get, and in which order.

use std::collections::BTreeSet;

use hassock_tests::raw::close;
use hassock_tests::{Client, Raw, TestHost, app, app_with_database, eventually, guest};
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn publish(topic: &str, text: &str) -> Value {
    json!({ "publish": { "topic": topic, "text": text } })
}

/// The connection's id, as its module knows it.
async fn id(client: &mut Client) -> u64 {
    client.probe(json!("attachment")).await["opened"].as_u64().unwrap()
}

/// The contract of `topics`: the host says how many connections were reached, and which are subscribed, in ascending
/// order.
#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_what_is_published() {
    let host = TestHost::shared().await;
    let (mut one, mut two) = (host.connect("/probe").await, host.connect("/probe").await);
    assert_eq!(one.probe(publish("basics", "nobody")).await, 0);
    assert_eq!(one.probe(json!({ "subscribers": "basics" })).await, json!([]));
    let ids = [id(&mut one).await, id(&mut two).await];
    for client in [&mut two, &mut one] {
        client.probe(json!({ "subscribe": "basics" })).await;
        client.probe(json!({ "subscribe": "basics" })).await;
    }
    assert_eq!(one.probe(json!({ "subscribers": "basics" })).await, json!(ids));
    assert_eq!(two.ask(publish("basics", "both").to_string()).await, "both", "what is sent first comes first");
    assert_eq!(two.json().await, json!({ "ok": 2 }), "to subscribe again changes nothing");
    assert_eq!(one.text().await, "both");
    let except = json!({ "publish-except": { "topic": "basics", "text": "the other" } });
    assert_eq!(one.probe(except).await, 1, "the speaker gets the count only");
    assert_eq!(two.text().await, "the other");
    one.probe(json!({ "unsubscribe": "basics" })).await;
    one.probe(json!({ "unsubscribe": "basics" })).await;
    assert_eq!(one.probe(publish("basics", "two")).await, 1);
    assert_eq!(two.text().await, "two");
    assert_eq!(one.probe(json!({ "subscribers": "basics" })).await, json!([ids[1]]));
    assert_eq!(one.ask("and nothing else").await, "and nothing else");
}

/// The contract of `acceptance`: the connection has the topics that `open` returns from the first moment.
#[tokio::test(flavor = "multi_thread")]
async fn topics_of_the_acceptance_are_there_at_once() {
    let host = TestHost::shared().await;
    let mut speaker = host.connect("/probe").await;
    for count in 1..20 {
        let mut listener = host.connect(&format!("/probe?topic=at-once-{count}")).await;
        assert_eq!(speaker.probe(publish(&format!("at-once-{count}"), "hello")).await, 1);
        assert_eq!(listener.text().await, "hello");
    }
}

/// Invariant 5: a topic's name has 1 to 256 bytes.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_topics_are_bounded() {
    let host = TestHost::shared().await;
    let mut client = host.connect("/probe").await;
    for name in ["", &"x".repeat(257), &"ü".repeat(129)] {
        let answer = client.try_probe(json!({ "subscribe": name })).await;
        assert!(answer["error"].is_string(), "{answer}");
    }
    let longest = "ü".repeat(128);
    client.probe(json!({ "subscribe": longest })).await;
    let own = id(&mut client).await;
    assert_eq!(client.probe(json!({ "subscribers": longest })).await, json!([own]));
}

/// "All subscribers of a topic get its messages in the same order", also with many publishers at once, and
/// each publisher's own messages in its order (invariant 1).
#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_see_one_order() {
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 250;
    let host = TestHost::shared().await;
    let mut listeners = Vec::new();
    for _ in 0..6 {
        listeners.push(host.connect("/probe?topic=order").await);
    }
    let mut publishing = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let mut client = host.connect("/probe").await;
        publishing.spawn(async move {
            for number in 0..MESSAGES {
                client.send(publish("order", &format!("{publisher} {number}")).to_string()).await;
            }
            for _ in 0..MESSAGES {
                assert_eq!(client.json().await, json!({ "ok": 6 }));
            }
        });
    }
    let mut listening = JoinSet::new();
    for mut listener in listeners {
        listening.spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..PUBLISHERS * MESSAGES {
                seen.push(listener.text().await);
            }
            seen
        });
    }
    let orders: BTreeSet<Vec<String>> = listening.join_all().await.into_iter().collect();
    publishing.join_all().await;
    assert_eq!(orders.len(), 1, "there is more than one order");
    for publisher in 0..PUBLISHERS {
        let of_publisher = orders.iter().flatten().filter_map(|text| text.strip_prefix(&format!("{publisher} ")));
        let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
        assert_eq!(of_publisher.collect::<Vec<_>>(), expected);
    }
}

/// A topic's message and an answer to the client's own message keep the order in which they were sent.
#[tokio::test(flavor = "multi_thread")]
async fn published_and_sent_messages_share_one_queue() {
    let host = TestHost::shared().await;
    let mut client = host.connect("/probe?topic=mixed").await;
    for number in 0..50 {
        client.send(format!("echo {number}")).await;
        client.send(publish("mixed", &format!("topic {number}")).to_string()).await;
    }
    for number in 0..50 {
        assert_eq!(client.text().await, format!("echo {number}"));
        assert_eq!(client.text().await, format!("topic {number}"));
        assert_eq!(client.json().await, json!({ "ok": 1 }));
    }
}

/// A connection that has ended is not subscribed to anything, however it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_is_unsubscribed() {
    let host = TestHost::shared().await;
    let mut speaker = host.connect("/probe").await;
    let polite = host.connect("/probe?topic=leaving").await;
    let mut rude = Raw::open(&host.address(), "/probe?topic=leaving").await;
    let mut half_open = Raw::open(&host.address(), "/probe?topic=leaving").await;
    let mut dismissed = host.connect("/probe?topic=leaving").await;
    assert_eq!(speaker.probe(publish("leaving", "hello")).await, 4);
    assert_eq!(rude.text().await, "hello");
    polite.close().await;
    rude.reset();
    // It sends a close frame, and never closes its TCP connection.
    half_open.send(close(1000, "")).await;
    dismissed.send(json!({ "close": { "code": 3000, "reason": "" } }).to_string()).await;
    dismissed.closed().await;
    let speaker = tokio::sync::Mutex::new(speaker);
    eventually("all to be unsubscribed", || async {
        speaker.lock().await.probe(json!({ "subscribers": "leaving" })).await == json!([])
    })
    .await;
    assert_eq!(speaker.lock().await.probe(publish("leaving", "anybody?")).await, 0);
}

/// Invariant 4: a module does not see the connections and topics of another app.
#[tokio::test(flavor = "multi_thread")]
async fn apps_do_not_see_each_other() {
    let module = guest("probe");
    let one = app_with_database("one", &module, "sqlite::memory:");
    let two = app("two", &module);
    let host = TestHost::start(&format!("{one}{two}databases = {{ main = \"read-write\" }}\n")).await;
    let mut ones = host.connect("/one?topic=shared").await;
    let mut twos = host.connect("/two?topic=shared").await;
    let (id_of_one, id_of_two) = (id(&mut ones).await, id(&mut twos).await);
    assert_ne!(id_of_one, id_of_two, "an id is never used twice while the host runs");
    assert_eq!(ones.probe(json!({ "subscribers": "shared" })).await, json!([id_of_one]));
    ones.send(publish("shared", "for one").to_string()).await;
    assert_eq!((ones.text().await.as_str(), ones.json().await), ("for one", json!({ "ok": 1 })));
    let send = json!({ "send-to": { "id": id_of_two, "text": "from one" } });
    let (foreign, never) = (ones.try_probe(send).await, json!({ "send-to": { "id": 1_u64 << 52, "text": "" } }));
    assert!(foreign["error"].is_string(), "{foreign}");
    assert_eq!(foreign, ones.try_probe(never).await, "another app's connection is like one that never existed");
    let send = json!({ "send-to": { "id": id_of_two, "text": "from two" } });
    assert_eq!(twos.ask(send.to_string()).await, "from two", "nothing came from the other app before");
}

/// The contract of `send`: a connection of the same app can be written to by its id, until it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_app_can_write_to_each_other() {
    let host = TestHost::shared().await;
    let (mut one, mut two) = (host.connect("/probe").await, host.connect("/probe").await);
    let send = json!({ "send-to": { "id": id(&mut two).await, "text": "psst" } });
    one.probe(send.clone()).await;
    assert_eq!(two.text().await, "psst");
    two.close().await;
    let one = tokio::sync::Mutex::new(one);
    eventually("the id to be unknown", || async {
        one.lock().await.try_probe(send.clone()).await["error"].is_string()
    })
    .await;
}
