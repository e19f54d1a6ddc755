//! Tokens in tests of modules, by the virtual clock.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use hassock::testkit::{Connect, Message, Received, TestHost as SimulatedHost};
use tempfile::TempDir;

use super::*;

/// The config of an app, with keys that are nowhere.
fn folder(auth: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hassock.toml");
    std::fs::write(&file, config(auth)).unwrap();
    (folder, file)
}

fn with_token(host: &SimulatedHost, claims: &Value) -> Connect {
    Connect::to("/probe?open=claims").header("authorization", format!("Bearer {}", host.token(claims)))
}

/// Whatever keys the config names, a test makes its own tokens. They expire to the millisecond.
#[test]
fn a_test_needs_no_keys() {
    for auth in [
        "hmac_secret = \"${HASSOCK_NO_SUCH_VARIABLE}\"\nissuer = \"a\"",
        "public_key = \"no-such.pem\"\nalgorithms = [\"ES256\"]\naudience = \"b\"",
        "jwks_url = \"https://no-such.example/\"\ntoken_from = [\"cookie:session\"]",
    ] {
        let (_folder, file) = folder(auth);
        let host = SimulatedHost::builder().config(&file).build().unwrap();
        let Err(refused) = host.request(&Connect::to("/probe")).unwrap() else { panic!("no token was needed") };
        assert_eq!(refused.status, 401);
        let now = host.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({ "sub": "u7", "exp": now + 60 });
        let client = host.connect(with_token(&host, &claims));
        client.expect_json(&claims);
        host.advance(Duration::from_millis(89_900));
        assert!(client.is_open());
        host.advance(Duration::from_millis(200));
        let Some(Received::Closed { code, .. }) = std::iter::from_fn(|| client.receive()).last() else {
            panic!("it is open")
        };
        assert_eq!(code, 4401);
        let Err(refused) = host.request(&with_token(&host, &claims)).unwrap() else { panic!("it has not expired") };
        assert_eq!((refused.status, refused.body.as_str()), (401, "the token has expired\n"));
    }
}

/// A mistake in the table that has nothing to do with keys is still one.
#[test]
fn other_mistakes_are_told() {
    let (_folder, file) = folder("hmac_secret = \"${HASSOCK_NO_SUCH_VARIABLE}\"\nleeway = \"lots\"");
    let error = SimulatedHost::builder().config(&file).build().err().unwrap().to_string();
    assert!(error.contains("apps.probe.auth.leeway") && !error.contains("hmac_secret"), "{error}");
}

/// A refreshed token moves the end, and a heartbeat that comes early for it harms nobody.
#[test]
fn a_refreshed_connection_lives_until_its_new_end() {
    let (_folder, file) = folder("hmac_secret = \"${HASSOCK_NO_SUCH_VARIABLE}\"\nleeway = \"0s\"");
    let host = SimulatedHost::builder().config(&file).build().unwrap();
    let now = host.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ends = |after: u64| json!({ "sub": "u7", "exp": now + after });
    let client = host.connect(with_token(&host, &ends(31)).subprotocol("hassock.v1"));
    let told = |client: &hassock::testkit::Client| -> Vec<String> {
        let texts = client.messages().into_iter().map(|message| match message {
            Message::Text(text) => text,
            Message::Binary(_) => panic!("binary"),
        });
        texts.collect()
    };
    assert!(told(&client)[0].contains("\"expires\":31000"));
    client.send_text(format!("{{\"type\":\"token\",\"request\":1,\"token\":\"{}\"}}\n", host.token(&ends(300))));
    assert_eq!(told(&client), ["{\"type\":\"token\",\"request\":1,\"expires\":300000}\n"]);
    let mut open_for = 0;
    // It answers each heartbeat half a second later.
    while client.is_open() {
        host.advance(Duration::from_millis(500));
        open_for += 500;
        if told(&client).iter().any(|text| text.contains("heartbeat")) {
            host.advance(Duration::from_millis(500));
            open_for += 500;
            client.send_text("{\"type\":\"heartbeat\"}\n");
        }
    }
    assert!((300_000..=300_500).contains(&open_for), "{open_for}");
}
