//! Tokens of clients that come back to their connections.

use hassock_tests::speaker::state;
use hassock_tests::{Events, Known, Speaker, eventually, refused};

use super::*;

async fn host_that_waits(events: &Events) -> TestHost {
    let limits = "[apps.probe.limits]\nresume_for = \"60s\"\n";
    events.host(&format!("[apps.probe.auth]\n{}leeway = \"0s\"\n{limits}", secret())).await
}

fn away(host: &TestHost) -> usize {
    host.host.control().app_figures().iter().map(|app| app.traffic.away).sum()
}

/// A client with a token, which has lost its network.
async fn lost(host: &TestHost, token: &str) -> Known {
    let said = state(&json!({ "token": token }).to_string());
    let speaker = Speaker::with(&host.address(), "/probe", &["hassock.v1", &said]).await.unwrap();
    let known = speaker.known();
    drop(speaker);
    eventually("the host to miss the client", async || away(host) == 1).await;
    known
}

async fn again(host: &TestHost, known: &Known, token: &str) -> Speaker {
    known.again_with(&host.address(), "/probe", |state| state["token"] = json!(token)).await
}

/// The token that it comes back with counts from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_with_another_token() {
    let events = Events::new().await;
    let host = host_that_waits(&events).await;
    let known = lost(&host, &maker().for_seconds("u7", 3)).await;
    let mut speaker = again(&host, &known, &maker().for_seconds("u7", 600)).await;
    assert_eq!(speaker.connected["resumed"], true);
    let expires = speaker.connected["expires"].as_u64().unwrap();
    assert!((590_000..=600_000).contains(&expires), "{expires}");
    assert_eq!(speaker.request("{\"attach\":1}").await.header["type"], "reply");
    assert!(events.of("closed").await.is_empty());
}

/// The module knows whose connection it is, and would not learn that it has changed.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_does_not_get_the_connection() {
    let events = Events::new().await;
    let host = host_that_waits(&events).await;
    let known = lost(&host, &maker().for_seconds("u7", 600)).await;
    let offer = known.state(|_| {});
    let (status, _) = refused(&host.address(), "/probe", |request| {
        request.headers_mut().insert("sec-websocket-protocol", format!("hassock.v1, {offer}").parse().unwrap());
    })
    .await;
    assert_eq!((status, away(&host)), (401, 1), "without a token it is no client at all");
    assert_eq!(again(&host, &known, &maker().for_seconds("u8", 600)).await.connected["resumed"], false);
    events.wait("closed", 1).await;
}

/// Such a token may be anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_say_of_whom_it_is_does_not_get_it_either() {
    let events = Events::new().await;
    let host = host_that_waits(&events).await;
    let nobody = maker().token(&json!({ "uid": "u7" }));
    let known = lost(&host, &nobody).await;
    assert_eq!(again(&host, &known, &nobody).await.connected["resumed"], false);
    events.wait("closed", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_while_its_client_is_away() {
    let events = Events::new().await;
    let host = host_that_waits(&events).await;
    lost(&host, &maker().for_seconds("u7", 2)).await;
    assert_eq!(events.wait("closed", 1).await, ["4401 Host the token has expired"]);
    assert_eq!(away(&host), 0);
}
