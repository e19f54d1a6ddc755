//! A client has its connection again after its network has failed.

mod delivery;
mod ends;
mod random;

use hassock_tests::{Client, Events, Known, Speaker, TestHost, eventually};
use serde_json::{Value, json};

/// A host whose clients may be away for a minute.
async fn host(events: &Events) -> TestHost {
    events.host(&config("60s", "")).await
}

fn config(resume_for: &str, limits: &str) -> String {
    format!(
        "[apps.probe.limits]\nresume_for = \"{resume_for}\"\n{limits}\
         [apps.probe.topics.\"kept*\"]\nhistory = 10\nkeep = \"60s\"\npresence = true\n"
    )
}

/// How many clients are away.
fn away(host: &TestHost) -> usize {
    host.host.control().app_figures().iter().map(|app| app.traffic.away).sum()
}

/// Lose the network, and wait until the host knows it.
async fn lose(host: &TestHost, speaker: Speaker) -> Known {
    let (before, known) = (away(host), speaker.known());
    // Without a word: the socket is closed, and no close frame is sent.
    drop(speaker);
    eventually("the host to miss the client", async || away(host) == before + 1).await;
    known
}

async fn say(other: &mut Client, id: &Value, text: &str) {
    other.probe(json!({ "send-to": { "id": id, "text": text } })).await;
}

/// The network may fail again before the client has the first message, and with it the next secret.
#[tokio::test(flavor = "multi_thread")]
async fn greetings_that_are_lost_lock_nobody_out() {
    let events = Events::new().await;
    let host = host(&events).await;
    let speaker = Speaker::connect(&host.address(), "/probe").await;
    let id = speaker.connected["connection"].clone();
    let known = lose(&host, speaker).await;
    for times in 1..=3 {
        let offer = format!("hassock.v1, {}", known.state(|_| {})).parse().unwrap();
        let address = host.address();
        let client = Client::with(&address, "/probe", |request| {
            request.headers_mut().insert("sec-websocket-protocol", offer);
        });
        drop(client.await.unwrap());
        let resumed = ("resumed", times);
        let is_resumed = || host.host.control().app_figures()[0].handshakes.contains(&resumed);
        eventually("the host to miss the client again", async || is_resumed() && away(&host) == 1).await;
    }
    let again = known.again(&host.address(), "/probe").await;
    assert_eq!((&again.connected["resumed"], &again.connected["connection"]), (&json!(true), &id));
}

/// A handshake of before that comes late takes the connection, and the client takes it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_handshake_locks_nobody_out() {
    let events = Events::new().await;
    let host = host(&events).await;
    let speaker = Speaker::connect(&host.address(), "/probe").await;
    let known = lose(&host, speaker).await;
    let second = known.again(&host.address(), "/probe").await;
    let late = known.again(&host.address(), "/probe").await;
    assert_eq!(late.connected["resume"], second.connected["resume"], "whoever it is, the client has the secret");
    drop(late);
    let mut third = second.known().again(&host.address(), "/probe").await;
    assert_eq!(third.connected["resumed"], true);
    assert_ne!(third.connected["resume"], second.connected["resume"]);
    // When it has said something, those before do not count any more.
    third.probe(json!("attachment")).await;
    assert_eq!(second.known().again(&host.address(), "/probe").await.connected["resumed"], false);
    assert_eq!(third.probe(json!("attachment")).await, third.probe(json!("attachment")).await);
    assert!(events.of("closed").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_its_connection_again() {
    let events = Events::new().await;
    let host = host(&events).await;
    let mut other = host.connect("/probe").await;
    let mut speaker = Speaker::connect(&host.address(), "/probe?topic=news").await;
    assert_eq!((&speaker.connected["resumed"], &speaker.connected["received"]), (&Value::Null, &Value::Null));
    assert_eq!(speaker.next().await.header["type"], "subscribed");
    speaker.probe(json!({ "attach": "mine" })).await;
    let id = speaker.connected["connection"].clone();

    let known = lose(&host, speaker).await;
    say(&mut other, &id, "one").await;
    other.probe(json!({ "publish": { "topic": "news", "text": "two" } })).await;
    say(&mut other, &id, "three").await;
    let mut again = known.again(&host.address(), "/probe?resume=greet").await;
    assert_eq!(again.connected["resumed"], true);
    assert_eq!(again.connected["connection"], id);
    assert_ne!(again.connected["resume"], known.connected["resume"], "each socket has another secret");
    assert_eq!(again.connected["received"], 1, "the host has handled the command");
    let mut payloads = Vec::new();
    for _ in 0..4 {
        payloads.push(again.next().await.payload);
    }
    assert_eq!(payloads, ["one", "two", "three", "welcome back"]);
    assert_eq!(again.probe(json!("attachment")).await, "mine");
    assert_eq!(away(&host), 0);
    assert_eq!(host.host.control().app_figures()[0].handshakes, [("accepted", 2), ("resumed", 1)]);

    again.client.close().await;
    events.wait("closed", 1).await;
    let id = id.as_i64().unwrap();
    let own: Vec<_> = events.all().await.into_iter().filter(|event| event.connection == id).collect();
    let kinds: Vec<_> = own.iter().map(|event| (event.kind.as_str(), event.detail.as_str())).collect();
    assert_eq!(kinds[..2], [("open", "/probe"), ("resumed", "/probe")]);
    assert_eq!((kinds.len(), kinds[2].0), (3, "closed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_see_a_client_that_is_away_as_one_that_is_there() {
    let events = Events::new().await;
    let host = host(&events).await;
    let speaker = Speaker::connect(&host.address(), "/probe?topic=kept").await;
    let raw = host.connect("/probe").await;
    drop(raw);
    events.wait("closed", 1).await;
    assert_eq!(away(&host), 0, "a client without the protocol is not waited for");
    lose(&host, speaker).await;
    let members = host.connect("/probe").await.probe(json!({ "members": { "topic": "kept", "limit": 9 } })).await;
    assert_eq!(members["count"], 1, "it is still a member: {members}");
    host.drain().await;
    events.assert_each_closed_once().await;
}

/// Somebody who does not know the secret gets another connection, and the one whose connection it is does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn only_its_client_has_it_again() {
    let events = Events::new().await;
    let host = host(&events).await;
    let mut speaker = Speaker::connect(&host.address(), "/probe").await;
    let token = speaker.connected["resume"].as_str().unwrap().to_owned();
    let (id, secret) = token.split_once('-').unwrap();
    assert_eq!((secret.len(), id), (32, speaker.connected["connection"].to_string().as_str()));
    let other = Speaker::connect(&host.address(), "/probe").await;
    assert_ne!(other.connected["resume"].as_str().unwrap().split_once('-').unwrap().1, secret);
    let wrong = format!("{id}-{:032x}", u128::from_str_radix(secret, 16).unwrap() ^ 1);
    let of_other = format!("{}-{secret}", other.connected["connection"]);
    for token in [&wrong, &of_other, &format!("999-{secret}"), "", "-", "nonsense"] {
        let thief = speaker.known().again_with(&host.address(), "/probe", |state| state["resume"] = json!(token)).await;
        assert_eq!(thief.connected["resumed"], false, "{token}");
        assert_ne!(thief.connected["connection"], speaker.connected["connection"]);
    }
    assert_eq!(speaker.request("{\"attach\":1}").await.header["type"], "reply");
    assert!(events.of("resumed").await.is_empty());
}

/// The network of a client changes, and the host has not noticed it yet.
#[tokio::test(flavor = "multi_thread")]
async fn the_socket_before_is_given_up() {
    let events = Events::new().await;
    let host = host(&events).await;
    let mut first = Speaker::connect(&host.address(), "/probe").await;
    first.probe(json!({ "attach": 7 })).await;
    let mut second = first.known().again(&host.address(), "/probe").await;
    assert_eq!(second.connected["resumed"], true);
    assert_eq!(first.try_next().await.unwrap_err().code, 1006);
    assert_eq!(second.probe(json!("attachment")).await, 7);
    // Again and again, faster than the session can take them.
    let mut last = second;
    for _ in 0..20 {
        last = last.known().again(&host.address(), "/probe").await;
        assert_eq!(last.connected["resumed"], true);
    }
    // What the client knew before is of no use any more, and does no harm.
    last.send("here").await;
    assert_eq!(last.next().await.payload, "here");
    let late = first.known().again(&host.address(), "/probe").await;
    assert_eq!(late.connected["resumed"], false);
    late.client.close().await;
    events.wait("closed", 1).await;
    assert_eq!(last.probe(json!("attachment")).await, 7);
    last.client.close().await;
    events.wait("closed", 2).await;
    assert_eq!(events.of("open").await.len(), 2);
}
