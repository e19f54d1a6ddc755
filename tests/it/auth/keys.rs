//! Which tokens are accepted: algorithms, keys, and what a token has to say.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;

/// Each algorithm that the config can name, with a key that was made here.
#[tokio::test(flavor = "multi_thread")]
async fn each_algorithm_is_verified() {
    for (algorithm, bytes) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let host = host(&format!("hmac_secret = \"{}\"\nalgorithms = [\"{algorithm}\"]", &SECRET[..bytes])).await;
        let good = TokenMaker::secret(algorithm, &SECRET[..bytes]);
        let other = TokenMaker::secret(algorithm, &SECRET[1..]);
        accepts_only(&host, &good, &other).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let public = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    let makers: Vec<_> = public.iter().map(|algorithm| TokenMaker::new(algorithm)).collect();
    // One of each kind: the keys of RSA are the same.
    let pem: String = makers.iter().skip(5).map(TokenMaker::pem).collect();
    let file = folder.path().join("keys.pem");
    std::fs::write(&file, pem).unwrap();
    let host = host(&format!("public_key = \"{}\"\nalgorithms = {public:?}", file.display())).await;
    for (maker, algorithm) in makers.iter().zip(public) {
        // Another key of the same kind. Of RSA there is only one.
        let is_rsa = algorithm.starts_with(['R', 'P']);
        let other = if is_rsa { None } else { Some(TokenMaker::new(algorithm)) };
        accepts_only(&host, maker, other.as_ref().unwrap_or(maker)).await;
    }
}

/// A token is accepted, and none that was changed or that another key has signed.
async fn accepts_only(host: &TestHost, maker: &TokenMaker, other: &TokenMaker) {
    let token = maker.for_seconds("u7", 60);
    assert_eq!(claims(host, &token).await["sub"], "u7");
    let wrong = "the signature of the token is wrong";
    if !std::ptr::eq(maker, other) {
        assert_refused(host, &other.for_seconds("u7", 60), wrong).await;
    }
    // Another user, with the same signature.
    let parts: Vec<_> = token.split('.').collect();
    let others = maker.for_seconds("u8", 60);
    let payload = others.split('.').nth(1).unwrap();
    assert_refused(host, &format!("{}.{payload}.{}", parts[0], parts[2]), wrong).await;
    assert_refused(host, &format!("{}.{}.", parts[0], parts[1]), wrong).await;
}

/// RFC 8725, section 2.1: neither a token that is not signed nor one that takes a public key for a secret is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_does_not_choose_how_a_token_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (rsa, ec) = (TokenMaker::new("RS256"), TokenMaker::new("ES256"));
    let file = folder.path().join("keys.pem");
    std::fs::write(&file, rsa.pem() + &ec.pem()).unwrap();
    let host = host(&format!("public_key = \"{}\"", file.display())).await;
    let user = json!({ "sub": "u7" });
    assert_eq!(claims(&host, &rsa.token(&user)).await, user);
    // The public key as a secret: as the file has it, and without the line feed at its end.
    for secret in [rsa.pem(), rsa.pem().trim_end().to_owned(), rsa.pem() + &ec.pem()] {
        let forged = TokenMaker::secret("HS256", &secret).token(&user);
        assert_refused(&host, &forged, "the token is not signed with one of `algorithms`").await;
    }
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = rsa.token_with(&json!({ "alg": none }), &user);
        assert_refused(&host, &unsigned, "the token cannot be read").await;
        let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
        assert_refused(&host, &format!("{unsigned}."), "the token cannot be read").await;
    }
    // An algorithm of the same key that is not one of `algorithms`.
    let other = TokenMaker::new("PS256").token(&user);
    assert_refused(&host, &other, "the token is not signed with one of `algorithms`").await;
    // The key of the token itself says nothing.
    let own = TokenMaker::new("ES256");
    let header = json!({ "alg": "ES256", "jwk": own.jwk(), "jku": "http://127.0.0.1:1/" });
    assert_refused(&host, &own.token_with(&header, &user), "the signature of the token is wrong").await;
    // What must be understood and is not (RFC 7515, section 4.1.11).
    let critical = rsa.token_with(&json!({ "alg": "RS256", "crit": ["b64"], "b64": false }), &user);
    assert_refused(&host, &critical, "the token cannot be read").await;
}

/// `iss` and `aud`, with what is missing or of another type.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_or_for_somebody_else_is_refused() {
    let host = host(&format!("{}issuer = \"https://a.example\"\naudience = [\"chat\", \"shop\"]", secret())).await;
    let (issuer, audience) = ("the token is of another `iss`", "the token is for another `aud`");
    for (claims_of_token, refused) in [
        (json!({ "iss": "https://a.example", "aud": "chat" }), None),
        (json!({ "iss": "https://a.example", "aud": ["x", "shop"] }), None),
        (json!({ "iss": "https://b.example", "aud": "chat" }), Some(issuer)),
        (json!({ "aud": "chat" }), Some(issuer)),
        (json!({ "iss": 5, "aud": "chat" }), Some(issuer)),
        (json!({ "iss": ["https://a.example", "x"], "aud": "chat" }), Some(issuer)),
        (json!({ "iss": "https://a.example" }), Some(audience)),
        (json!({ "iss": "https://a.example", "aud": "Chat" }), Some(audience)),
        (json!({ "iss": "https://a.example", "aud": [] }), Some(audience)),
    ] {
        let token = maker().token(&claims_of_token);
        match refused {
            None => assert_eq!(claims(&host, &token).await, claims_of_token),
            Some(sentence) => assert_refused(&host, &token, sentence).await,
        }
    }
    // RFC 7519, section 4.1.3: who is not named must refuse.
    let unnamed = super::host(&secret()).await;
    for someone_else in [json!("chat"), json!(["chat", 1]), json!(5), json!({}), json!([])] {
        assert_refused(&unnamed, &maker().token(&json!({ "aud": someone_else })), audience).await;
    }
    assert_eq!(claims(&unnamed, &maker().token(&json!({ "aud": null }))).await, json!({ "aud": null }));
}

/// `exp` and `nbf`, with `leeway`, which is 30 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_between_its_times() {
    let host = host(&secret()).await;
    let now = hassock_tests::tokens::seconds();
    for (times, refused) in [
        (json!({ "exp": now - 5 }), None),
        (json!({ "exp": now - 40 }), Some("the token has expired")),
        (json!({ "exp": 0 }), Some("the token has expired")),
        (json!({ "exp": -5 }), Some("the token has expired")),
        (json!({ "nbf": now + 25, "exp": now + 3600 }), None),
        (json!({ "nbf": now + 60 }), Some("the token is not valid yet")),
        (json!({ "exp": (now + 60).to_string() }), Some("the token cannot be read")),
        (json!([now + 60]), Some("the token cannot be read")),
    ] {
        let token = maker().token(&times);
        match refused {
            None => assert_eq!(claims(&host, &token).await, times),
            Some(sentence) => assert_refused(&host, &token, sentence).await,
        }
    }
}

/// What is not a token at all.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let host = host(&format!("{}max_token_bytes = \"1KiB\"", secret())).await;
    let good = maker().for_seconds("u7", 60);
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let (header, payload) = (encode("{\"alg\":\"HS256\"}"), encode("{}"));
    let invalid = format!("{}.{payload}.{payload}", encode("\u{1}"));
    for token in ["a", "a.b", "..", "a.b.c.d", &format!("{good}.x"), &format!("{header}.{payload}"), &invalid] {
        assert_refused(&host, token, "the token cannot be read").await;
    }
    let long = maker().token(&json!({ "sub": "x".repeat(1024) }));
    assert_refused(&host, &long, "the token is longer than `max_token_bytes`").await;
    assert_eq!(claims(&host, &good).await["sub"], "u7");
}

/// A config that cannot do what it says does not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_is_a_problem_of_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    std::fs::write(&file, private).unwrap();
    for (auth, expected) in [
        (format!("public_key = \"{}\"", file.display()), "has a private key"),
        ("public_key = \"no-such.pem\"".to_owned(), "cannot read"),
        (format!("jwks_url = \"https://a.example/\"\njwks_ca = \"{}\"", file.display()), "has no certificate in PEM"),
    ] {
        let error = TestHost::try_start(&config(&auth)).await.err().unwrap().to_string();
        assert!(error.contains("apps.probe.auth.") && error.contains(expected), "{error}");
    }
}
