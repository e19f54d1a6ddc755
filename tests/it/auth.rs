//! JSON Web Tokens, through the real door: whose the host accepts, and what becomes of a connection when its token expires.

mod book;
mod expiry;
mod keys;
mod page;
mod places;
mod resumption;
mod secrecy;
mod sets;
mod simulated;

use hassock_tests::{Client, Operator, TestHost, TokenMaker, app_with_database, guest, refused};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// A secret for each of the algorithms.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The line of a config with that secret.
fn secret() -> String {
    format!("hmac_secret = \"{SECRET}\"\n")
}

/// Makes tokens with that secret.
fn maker() -> TokenMaker {
    TokenMaker::secret("HS256", SECRET)
}

/// The config of the probe, which demands tokens.
fn config(auth: &str) -> String {
    format!("{}[apps.probe.auth]\n{auth}\n", app_with_database("probe", &guest("probe"), "sqlite::memory:"))
}

/// The probe, which demands tokens.
async fn host(auth: &str) -> TestHost {
    TestHost::start(&config(auth)).await
}

/// Connect with a token in the header, to the probe that sends the claims.
async fn try_connect(host: &TestHost, token: &str) -> Result<Client, Error> {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    Client::with(&host.address(), "/probe?open=claims", |request| {
        request.headers_mut().insert("authorization", bearer);
    })
    .await
}

/// The claims that the module has got of an accepted token.
async fn claims(host: &TestHost, token: &str) -> Value {
    let connected = try_connect(host, token).await;
    connected.unwrap_or_else(|error| panic!("{token} is refused: {error}")).json().await
}

/// The status, the challenge and the sentence with which a token is refused.
async fn refusal(host: &TestHost, token: &str) -> (u16, Option<String>, String) {
    match try_connect(host, token).await {
        Err(Error::Http(response)) => {
            let challenge = response.headers().get("www-authenticate");
            let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
            let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
            (response.status().as_u16(), challenge, body)
        }
        Err(error) => panic!("no answer but {error}"),
        Ok(_) => panic!("{token} was accepted"),
    }
}

/// A token is refused as one that is not valid, with this sentence.
async fn assert_refused(host: &TestHost, token: &str, sentence: &str) {
    let expected = (401, Some("Bearer error=\"invalid_token\"".to_owned()), format!("{sentence}\n"));
    assert_eq!(refusal(host, token).await, expected);
}

/// The module is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_token_does_not_reach_the_module() {
    let events = hassock_tests::Events::new().await;
    let host = events.host(&format!("[apps.probe.auth]\n{}", secret())).await;
    let (status, body) = refused(&host.address(), "/probe", |_| {}).await;
    assert_eq!((status, body.as_str()), (401, "a token is needed\n"));
    let answer = Client::with(&host.address(), "/probe", |_| {}).await;
    let Err(Error::Http(response)) = answer else { panic!("not refused") };
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_refused(&host, "no.token.", "the token cannot be read").await;
    let token = maker().for_seconds("u7", 60);
    assert_eq!(claims(&host, &token).await["sub"], "u7");
    assert_eq!(host.drain().await, 0);
    assert_eq!((events.of("open").await.len(), events.of("closed").await.len()), (1, 1));
}

/// The metrics say why.
#[tokio::test(flavor = "multi_thread")]
async fn refused_tokens_are_counted() {
    let host = TestHost::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}", config(&secret()))).await;
    assert_refused(&host, "no.token.", "the token cannot be read").await;
    assert_eq!(refused(&host.address(), "/probe", |_| {}).await.0, 401);
    let metrics = Operator::of(&host).ask("GET /metrics").await.body;
    let line = "hassock_handshakes_total{app=\"probe\",outcome=\"unauthorized\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}

/// Without `required`, the module decides about clients without a token; a token that is not accepted is refused all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_optional() {
    let host = host(&format!("{}required = false", secret())).await;
    let mut client = host.connect("/probe?open=claims").await;
    let closed = client.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (4401, "log in first"), "the module closes after accepting");
    let own = json!({ "sub": "u7", "n": [1.5, { "é": null }] });
    assert_eq!(claims(&host, &maker().token(&own)).await, own);
    assert_refused(&host, "x", "the token cannot be read").await;
}

/// A reload that changes only what is demanded applies to new handshakes, and leaves connections as they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_is_demanded() {
    let host = TestHost::start(&config(&secret())).await;
    let (old, other) = (maker(), "fedcba9876543210fedcba9876543210");
    let mut before = try_connect(&host, &old.for_seconds("u7", 60)).await.unwrap();
    assert_eq!(before.json().await["sub"], "u7");
    let report = host.reload(&config(&format!("hmac_secret = \"{other}\"\n"))).await.unwrap();
    assert_eq!(report.changes, ["the app `probe` demands other tokens, or none"]);
    assert_eq!(before.ask("still here").await, "still here");
    assert_refused(&host, &old.for_seconds("u7", 60), "the signature of the token is wrong").await;
    assert_eq!(claims(&host, &TokenMaker::secret("HS256", other).for_seconds("u8", 60)).await["sub"], "u8");
    // A file of keys counts with what it holds.
    let (one, two) = (TokenMaker::new("ES256"), TokenMaker::new("ES256"));
    std::fs::write(host.file("keys.pem"), one.pem()).unwrap();
    let with_file = config("public_key = \"keys.pem\"\n");
    host.reload(&with_file).await.unwrap();
    assert_eq!(claims(&host, &one.for_seconds("u9", 60)).await["sub"], "u9");
    assert!(host.reload(&with_file).await.unwrap().changes.is_empty());
    std::fs::write(host.file("keys.pem"), two.pem()).unwrap();
    let report = host.reload(&with_file).await.unwrap();
    assert_eq!(report.changes, ["the app `probe` demands other tokens, or none"]);
    assert_refused(&host, &one.for_seconds("u9", 60), "the signature of the token is wrong").await;
    std::fs::write(host.file("keys.pem"), "").unwrap();
    let refused = host.reload(&with_file).await.unwrap_err().to_string();
    assert!(refused.contains("apps.probe.auth.public_key: ") && refused.contains("has no public key"), "{refused}");
    assert_eq!(claims(&host, &two.for_seconds("u9", 60)).await["sub"], "u9");
    host.reload(&app_with_database("probe", &guest("probe"), "sqlite::memory:")).await.unwrap();
    let closed = host.connect("/probe?open=claims").await.closed().await;
    assert_eq!(closed.code, 4401, "no token is needed, and there are no claims");
}
