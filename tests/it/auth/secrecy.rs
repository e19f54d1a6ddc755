//! No token and no secret leaves the host: neither in its log, nor in recordings, nor in traces, nor in what its commands print.

use std::fs;

use hassock_tests::speaker::state;
use hassock_tests::{Collector, Process, Site, Speaker, eventually};

use super::*;

/// What no text may have: the parts of the tokens that are only theirs, and the secret.
struct Secrets(Vec<String>);

impl Secrets {
    fn assert_none_in(&self, what: &str, text: &str) {
        assert!(!text.is_empty(), "{what} is empty");
        for secret in &self.0 {
            assert!(!text.contains(secret.as_str()), "{secret} is in {what}:\n{text}");
        }
    }
}

/// Tokens in each place, accepted and refused, and one over the connection.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_logged_recorded_or_traced() {
    let collector = Collector::start().await;
    let places = "token_from = [\"header\", \"subprotocol\", \"query:who\", \"cookie:who\"]";
    let head = format!(
        "[admin]\nlisten = \"unix:admin.sock\"\n[traces]\nendpoint = \"{}\"\nsample = \"100%\"\n",
        collector.endpoint
    );
    let site = Site::new(&format!("{head}{}", config(&format!("{}{places}", secret()))));
    let host = site.serve().await;
    let process = Process::hassock(site.folder(), ["record", "probe", "talk.transcript", "--connections", "5"]);
    process.complains("recording probe: 0 of ").await;

    let (good, bad) = (maker().for_seconds("u7", 600), TokenMaker::secret("HS256", "x").for_seconds("u7", 600));
    let other = maker().for_seconds("u7", 700);
    let mut secrets = Secrets(vec![SECRET.to_owned()]);
    for token in [&bad, &good] {
        let said = state(&json!({ "token": token }).to_string());
        secrets.0.extend(token.split('.').skip(1).map(ToOwned::to_owned));
        secrets.0.push(said.trim_start_matches("hassock.v1.").to_owned());
        for (name, value, query) in [
            ("authorization", format!("Bearer {token}"), String::new()),
            ("cookie", format!("who={token}"), String::new()),
            ("sec-websocket-protocol", format!("hassock.token.{token}, chat"), String::new()),
            ("x-test", String::new(), format!("?a=1&who={token}")),
        ] {
            let path = format!("/probe{query}");
            let client = Client::with(&host.address, &path, |request| {
                request.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
            });
            match client.await {
                Ok(client) => client.close().await,
                Err(Error::Http(response)) => {
                    assert_eq!((token, response.status().as_u16()), (&bad, 401));
                    secrets.assert_none_in("the answer", &format!("{response:?}"));
                }
                Err(error) => panic!("{error}"),
            }
        }
        let spoken = Speaker::with(&host.address, "/probe", &["hassock.v1", &said]).await;
        if let Ok(mut spoken) = spoken {
            for token in [&bad, &other] {
                spoken.say(json!({ "type": "token", "token": token, "request": 1 })).await;
                spoken.next().await;
            }
            spoken.client.close().await;
        }
    }
    secrets.0.extend(other.split('.').skip(1).map(ToOwned::to_owned));
    assert_eq!(process.ends().await.code, Some(0));
    let transcript = fs::read_to_string(site.file("talk.transcript")).unwrap();
    secrets.assert_none_in("the recording", &transcript);
    // The answers to refreshed tokens are there, and those are not.
    assert!(transcript.contains("who=redacted") && transcript.contains("(error invalid-token)"), "{transcript}");
    eventually("the spans", || async {
        collector.spans().iter().filter(|span| span.name == "handshake").count() == 10
    })
    .await;
    secrets.assert_none_in("the traces", &format!("{:?}", collector.spans()));
    let metrics = site.run("config --json").await.stdout;
    secrets.assert_none_in("the config", &metrics);
    secrets.assert_none_in("the config", &site.run("config").await.stdout);
    let log = host.stop().await;
    assert!(log.contains("refused: the signature of the token is wrong"), "{log}");
    secrets.assert_none_in("the log", &log);
}

/// A set of keys that cannot be fetched is one line, and one more when it can be again.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_keys_is_one_line() {
    let maker = TokenMaker::new("ES256");
    let server = hassock_tests::KeyServer::start(&[&maker]).await;
    let table = format!("jwks_url = \"{}\"\njwks_keep = \"10ms\"", server.url);
    let site = Site::new(&config(&table));
    server.hang_up();
    let host = site.serve().await;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", maker.for_seconds("u7", 600))).unwrap();
    let connect = || {
        Client::with(&host.address, "/probe", |request| {
            request.headers_mut().insert("authorization", bearer.clone());
        })
    };
    eventually("two attempts", || async {
        assert!(connect().await.is_err());
        server.asked() >= 2
    })
    .await;
    let lines = host.logs("the keys of tokens cannot be fetched; those", 1).await;
    assert_eq!((lines.len(), &lines[0]["level"], &lines[0]["app"]), (1, &json!("WARN"), &json!("probe")));
    assert!(lines[0]["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{lines:?}");
    server.serve_keys(&[&maker]);
    eventually("the keys", || async { connect().await.is_ok() }).await;
    assert_eq!(host.logs("the keys of tokens can be fetched again", 1).await.len(), 1);
    host.stop().await;
}
