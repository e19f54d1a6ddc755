//! The end of a token: of its connection too, unless the client sends another one.

use hassock_tests::speaker::state;
use hassock_tests::{Closed, Events, Speaker};

use super::*;

fn expired() -> Closed {
    Closed { code: 4401, reason: "the token has expired".to_owned() }
}

/// A client of `hassock.v1` with a token.
async fn speaker(host: &TestHost, token: &str) -> Speaker {
    let said = state(&json!({ "token": token }).to_string());
    Speaker::with(&host.address(), "/probe", &["hassock.v1", &said]).await.unwrap()
}

/// Ask the host to use another token; its answer.
async fn refresh(speaker: &mut Speaker, token: &str) -> Value {
    speaker.say(json!({ "type": "token", "token": token, "request": 4 })).await;
    speaker.next().await.header
}

/// Invariant 2: the module hears of it as of any other end, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_token() {
    let events = Events::new().await;
    let host = events.host(&format!("[apps.probe.auth]\n{}leeway = \"0s\"", secret())).await;
    let mut silent = try_connect(&host, &maker().for_seconds("u7", 2)).await.unwrap();
    let mut lasting = try_connect(&host, &maker().token(&json!({ "sub": "u8" }))).await.unwrap();
    let mut spoken = speaker(&host, &maker().for_seconds("u9", 2)).await;
    let expires = spoken.connected["expires"].as_u64().unwrap();
    assert!((1..=2000).contains(&expires), "{expires}");
    assert_eq!(silent.json().await["sub"], "u7");
    assert_eq!(silent.closed().await, expired());
    let closing = spoken.next().await.header;
    assert_eq!(closing, json!({ "type": "closing", "reconnect": false, "after": 0 }));
    assert_eq!(spoken.try_next().await, Err(expired()));
    assert_eq!(lasting.json().await["sub"], "u8");
    assert_eq!(lasting.ask("still here").await, "still here");
    for closed in events.wait("closed", 2).await {
        assert_eq!(closed, "4401 Host the token has expired");
    }
    drop(lasting);
    assert_eq!(host.drain().await, 0);
    assert_eq!(events.assert_each_closed_once().await, 3);
}

/// A client that is busy, or whose module is, is closed too.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_connection_ends_with_its_token() {
    let host = host(&format!("{}leeway = \"0s\"\n[apps.probe.limits]\nkeepalive = \"100ms\"", secret())).await;
    let (mut busy, mut spoken) = (
        try_connect(&host, &maker().for_seconds("u7", 2)).await.unwrap(),
        speaker(&host, &maker().for_seconds("u8", 2)).await,
    );
    busy.json().await;
    let talk = async {
        while let Ok(answer) = busy.try_ask("hello").await {
            assert_eq!(answer, "hello");
        }
    };
    // 2.7 seconds.
    let call = async {
        // Heartbeats come meanwhile.
        spoken.send(&json!({ "transaction": vec!["sleep"; 9] }).to_string()).await;
        loop {
            if let Err(closed) = spoken.try_next().await {
                break closed;
            }
        }
    };
    let ((), closed) = hassock_tests::within("both ends", async { tokio::join!(talk, call) }).await;
    assert_eq!(closed, expired());
}

/// Another token of the same user, in time: the connection stays. One of somebody else, or one that is not accepted: it ends.
#[tokio::test(flavor = "multi_thread")]
async fn another_token_keeps_the_connection() {
    let host = host(&format!("{}leeway = \"0s\"", secret())).await;
    let first = maker().for_seconds("u7", 3);
    let (mut kept, mut endless, mut stubborn, mut witness) = (
        speaker(&host, &first).await,
        speaker(&host, &first).await,
        speaker(&host, &first).await,
        try_connect(&host, &first).await.unwrap(),
    );
    let answer = refresh(&mut kept, &maker().for_seconds("u7", 600)).await;
    let expires = answer["expires"].as_u64().unwrap();
    assert!((590_000..=600_000).contains(&expires), "{answer}");
    assert_eq!((&answer["type"], &answer["request"]), (&json!("token"), &json!(4)));
    let answer = refresh(&mut endless, &maker().token(&json!({ "sub": "u7" }))).await;
    assert_eq!(answer, json!({ "type": "token", "request": 4 }), "it does not expire");
    for (token, message) in [
        (maker().for_seconds("u8", 600), "the token is not of the same `sub` and `iss` as that of the connection"),
        (maker().token(&json!({})), "the token is not of the same `sub` and `iss` as that of the connection"),
        (maker().token(&json!({ "sub": "u7", "exp": 5 })), "the token has expired"),
        (TokenMaker::secret("HS256", "x").for_seconds("u7", 600), "the signature of the token is wrong"),
        ("x".to_owned(), "the token cannot be read"),
    ] {
        let answer = refresh(&mut stubborn, &token).await;
        let expected = json!({ "type": "error", "request": 4, "code": "invalid-token", "message": message });
        assert_eq!(answer, expected);
    }
    // It has had the token that all of them had.
    witness.json().await;
    assert_eq!(witness.closed().await, expired());
    assert_eq!(stubborn.next().await.header["type"], "closing");
    assert_eq!(stubborn.try_next().await, Err(expired()));
    for speaker in [&mut kept, &mut endless] {
        speaker.send("still here").await;
        assert_eq!(speaker.next().await.payload, "still here");
    }
}

/// Who has no token, or an app that demands none.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_cannot_be_added_later() {
    let token = maker().for_seconds("u7", 600);
    let optional = host(&format!("{}required = false", secret())).await;
    let mut speaker = Speaker::connect(&optional.address(), "/probe").await;
    assert_eq!(speaker.connected.get("expires"), None);
    assert_eq!(refresh(&mut speaker, &token).await["code"], "invalid-token");
    let none = TestHost::shared().await;
    let mut speaker = Speaker::connect(&none.address(), "/probe").await;
    assert_eq!(refresh(&mut speaker, &token).await["code"], "not-supported");
}
