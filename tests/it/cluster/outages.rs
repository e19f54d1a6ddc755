//! NATS that is away, or has forgotten something.

use std::time::Duration;

use hassock_tests::{Proxy, Speaker};
use serde_json::json;
use tokio::time::timeout;

use super::*;

/// Whether a message comes soon.
async fn hears(speaker: &mut Speaker, text: &str) -> bool {
    let heard = timeout(Duration::from_millis(300), speaker.next()).await;
    heard.is_ok_and(|spoken| spoken.payload == text)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_connections_stay_and_messages_wait() {
    let mut nats = Nats::start().await;
    let (a, b) = (host(&nats).await, host(&nats).await);
    let (mut here, _) = subscribed(&a, "long").await;
    let (mut there, _) = subscribed(&b, "long").await;
    let (mut plain, _) = subscribed(&a, "plain").await;
    publish(&a, "long", "before").await;
    for speaker in [&mut here, &mut there] {
        assert_eq!(payloads(speaker, 1).await, ["before"]);
    }
    nats.kill();
    let mut client = a.connect("/probe").await;
    let alone = json!({ "publish": { "topic": "plain", "text": "alone" } });
    assert_eq!(client.probe(alone).await, json!(1));
    assert_eq!(plain.next().await.payload, "alone", "topics without a history go on");
    let mut expected = Vec::new();
    for number in 0..20 {
        let text = format!("meanwhile {number}");
        publish(&a, "long", &text).await;
        expected.push(text);
    }
    nats.restart().await;
    publish(&a, "long", "after").await;
    expected.push("after".to_owned());
    for speaker in [&mut here, &mut there] {
        assert_eq!(payloads(speaker, expected.len()).await, expected, "nothing is missing, and no gap was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_messages_for_an_outage_are_refused() {
    let mut nats = Nats::start().await;
    let a = host_at(&nats.address(), "queue_bytes = \"1KiB\"\nalone_without_nats = false\n").await;
    let (mut here, _) = subscribed(&a, "kept").await;
    publish(&a, "kept", "before").await;
    assert_eq!(payloads(&mut here, 1).await, ["before"]);
    nats.kill();
    let mut client = a.connect("/probe").await;
    let mut waiting = 0;
    let kept = json!({ "publish": { "topic": "kept", "text": "x".repeat(100) } });
    let refused = loop {
        match client.ask(kept.to_string()).await {
            done if done.contains("ok") => waiting += 1,
            refused => break refused,
        }
    };
    assert!(refused.contains("cluster cannot be reached") && (1..=10).contains(&waiting), "{waiting} {refused}");
    let plain = json!({ "publish": { "topic": "plain", "text": "x" } });
    // The host has to notice.
    while client.ask(plain.to_string()).await.contains("ok") {}
    nats.restart().await;
    assert_eq!(payloads(&mut here, waiting).await.len(), waiting);
    publish(&a, "kept", "after").await;
    assert!(hears(&mut here, "after").await);
}

/// The network between a host and NATS fails again and again while messages are published at another host.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_loses_nats_again_and_again_misses_nothing() {
    let nats = Nats::start().await;
    let proxy = Proxy::start(&nats.address()).await;
    let (a, b) = (host(&nats).await, host_at(&proxy.address, "").await);
    let (mut there, _) = subscribed(&b, "long").await;
    let publishing = async {
        let mut client = a.connect("/probe").await;
        for number in 0..600 {
            let text = number.to_string();
            client.ask(json!({ "publish": { "topic": "long", "text": text } }).to_string()).await;
            if number % 60 == 30 {
                proxy.cut();
            }
            if number % 10 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let (heard, ()) = tokio::join!(payloads(&mut there, 600), publishing);
    let expected: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    assert_eq!(heard, expected);
}

/// The stream of an app has only some messages of its busiest topic, so its first message says nothing about others.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_topic_is_no_gap_for_others_nor_for_itself() {
    let nats = Nats::start().await;
    let proxy = Proxy::start(&nats.address()).await;
    let table = hassock_tests::nats::table(&proxy.address);
    let host = TestHost::probe(&format!("[apps.probe.topics.\"kept*\"]\nhistory = 10\nkeep = \"60s\"\n{table}")).await;
    let (mut busy, _) = subscribed(&host, "kept").await;
    let (mut quiet, _) = subscribed(&host, "kept-quiet").await;
    let mut raw = host.connect("/probe?topic=kept-quiet").await;
    let mut positions = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            publish(&host, "kept", &format!("{round} {number}")).await;
            positions.push(busy.next().await.position());
        }
        // Everything is read again.
        proxy.cut();
        publish(&host, "kept", &format!("{round} last")).await;
        positions.push(busy.next().await.position());
        for back in [1, 5, 9] {
            let since = positions[positions.len() - 1 - back].clone();
            let mut again = Speaker::since(&host.address(), "/probe?topic=kept", json!({ "kept": since })).await;
            assert_eq!(again.next().await.header["recovered"], true, "{round} {back}");
            for position in &positions[positions.len() - back..] {
                assert_eq!(again.next().await.position(), *position);
            }
        }
    }
    publish(&host, "kept-quiet", "at last").await;
    assert_eq!(payloads(&mut quiet, 1).await, ["at last"], "no gap was told");
    assert_eq!(raw.text().await, "at last");
}

/// A longer history does not bring back what the shorter one has not kept.
#[tokio::test(flavor = "multi_thread")]
async fn another_history_does_not_hide_what_is_missing() {
    let nats = Nats::start().await;
    let keys = |history: u32| {
        let table = nats.table();
        format!("[apps.probe.topics.\"kept*\"]\nhistory = {history}\nkeep = \"60s\"\n{table}")
    };
    let short = TestHost::probe(&keys(3)).await;
    let (mut speaker, start) = subscribed(&short, "kept").await;
    for number in 0..10 {
        publish(&short, "kept", &number.to_string()).await;
    }
    payloads(&mut speaker, 10).await;
    short.drain().await;
    let long = TestHost::probe(&keys(100)).await;
    let since = json!({ "kept": start["position"] });
    let mut back = Speaker::since(&long.address(), "/probe?topic=kept", since).await;
    let told = back.next().await.header;
    assert!(told["recovered"] == false && told.get("gap").is_some(), "{told}");
}

/// Positions of the stream that was there before mean nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_anew_is_a_gap() {
    let nats = Nats::start().await;
    let (a, b) = (host(&nats).await, host(&nats).await);
    let (mut here, _) = subscribed(&a, "kept").await;
    for number in 0..5 {
        publish(&b, "kept", &number.to_string()).await;
    }
    let before = payloads(&mut here, 4).await;
    let position = here.next().await.position();
    assert_eq!(before.len(), 4);
    let jetstream = async_nats::jetstream::new(nats.client().await);
    jetstream.delete_stream("hassock_test_cHJvYmU").await.unwrap();
    publish(&b, "kept", "new").await;
    let told = here.next().await.header;
    assert_eq!((&told["type"], &told["gap"]), (&json!("gap"), &json!("restart")), "{told}");
    assert_eq!(here.next().await.header["type"], "subscribed", "with the new position");
    assert_eq!(payloads(&mut here, 1).await, ["new"]);
    let mut back = Speaker::since(&b.address(), "/probe?topic=kept", json!({ "kept": position })).await;
    assert_eq!(back.next().await.header["gap"], "restart");
    assert_eq!(payloads(&mut back, 1).await, ["new"]);
}
