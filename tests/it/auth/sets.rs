//! A set of keys at an address: how often it is fetched, and what counts meanwhile.

use hassock_tests::{Authority, KeyServer, eventually};
use tokio::task::JoinSet;

use super::*;

/// The table for a server. `keep` is how long a set counts.
fn table(server: &KeyServer, keep: &str) -> String {
    format!("jwks_url = \"{}\"\njwks_keep = \"{keep}\"\n", server.url)
}

/// Keys of every kind, found by their id, or without one.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_once_and_found_by_their_id() {
    let named = |algorithm| TokenMaker::new(algorithm).named(&format!("key of {algorithm}"));
    let makers = [named("RS256"), named("ES256"), named("ES384"), named("EdDSA")];
    let server = KeyServer::start(&makers.iter().collect::<Vec<_>>()).await;
    let host = host(&table(&server, "10m")).await;
    assert_eq!(server.asked(), 0, "no token needs it yet");
    for maker in makers {
        assert_eq!(claims(&host, &maker.for_seconds("u7", 60)).await["sub"], "u7");
        assert_eq!(claims(&host, &maker.anonymous().for_seconds("u8", 60)).await["sub"], "u8");
    }
    // The id of another key.
    let forged = named("ES256").for_seconds("u7", 60);
    assert_refused(&host, &forged, "the signature of the token is wrong").await;
    let swapped = TokenMaker::new("ES256").named("key of EdDSA").for_seconds("u7", 60);
    assert_refused(&host, &swapped, "the token is signed with a key that is not known").await;
    assert_eq!(server.asked(), 1);
}

/// A hundred clients that come at the same time wait for one fetch.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_handshakes_fetch_once() {
    let maker = TokenMaker::new("ES256");
    let server = KeyServer::start(&[&maker]).await;
    let host = host(&table(&server, "10m")).await;
    server.hold();
    let token = maker.for_seconds("u7", 60);
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        let (address, token) = (host.address(), token.clone());
        clients.spawn(async move {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            let client = Client::with(&address, "/probe", |request| {
                request.headers_mut().insert("authorization", bearer);
            });
            client.await.unwrap()
        });
    }
    eventually("the fetch", || async { server.asked() > 0 }).await;
    assert!(clients.try_join_next().is_none(), "a client did not wait for the keys");
    server.go_on();
    let mut open = Vec::new();
    while let Some(client) = clients.join_next().await {
        open.push(client.unwrap());
    }
    assert_eq!((open.len(), server.asked()), (100, 1));
    assert_eq!(open[99].ask("hello").await, "hello");
}

/// A client that goes away while the set is fetched does not make the others begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_outlives_the_client_that_began_it() {
    let maker = TokenMaker::new("ES256");
    let server = KeyServer::start(&[&maker]).await;
    let host = host(&table(&server, "10m")).await;
    server.hold();
    let token = maker.for_seconds("u7", 60);
    let mut raw = hassock_tests::Raw::connect(&host.address()).await;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    raw.send(hassock_tests::raw::upgrade_with("/probe", &bearer)).await;
    eventually("the fetch", || async { server.asked() > 0 }).await;
    raw.reset();
    let connecting = claims(&host, &token);
    server.go_on();
    assert_eq!(connecting.await["sub"], "u7");
    assert_eq!(server.asked(), 1);
}

/// A new key is found when the set is due, and the old one counts a little longer, and then no more.
#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_keys_overlap() {
    let (old, new) = (TokenMaker::new("ES256").named("old"), TokenMaker::new("ES256").named("new"));
    let server = KeyServer::start(&[&old]).await;
    let host = host(&table(&server, "2s")).await;
    let (of_old, of_new) = (old.for_seconds("u7", 600), new.for_seconds("u8", 600));
    assert_eq!(claims(&host, &of_old).await["sub"], "u7");
    server.serve_keys(&[&new]);
    assert_refused(&host, &of_new, "the token is signed with a key that is not known").await;
    eventually("the new key", || async { try_connect(&host, &of_new).await.is_ok() }).await;
    assert_eq!(claims(&host, &of_old).await["sub"], "u7", "tokens that it has signed are still about");
    eventually("the end of the old key", || async { try_connect(&host, &of_old).await.is_err() }).await;
    assert_refused(&host, &of_old, "the token is signed with a key that is not known").await;
    assert_eq!(claims(&host, &of_new).await["sub"], "u8");
}

/// Anybody can make up key ids: they do not let the host ask the server more often than every 30 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_do_not_flood_the_server() {
    let maker = TokenMaker::new("ES256").named("known");
    let server = KeyServer::start(&[&maker]).await;
    let host = host(&table(&server, "10m")).await;
    for number in 0..50 {
        let unknown = TokenMaker::new("ES256").named(&format!("unknown {number}")).for_seconds("u7", 60);
        assert_refused(&host, &unknown, "the token is signed with a key that is not known").await;
    }
    assert_eq!(server.asked(), 1);
    assert_eq!(claims(&host, &maker.for_seconds("u7", 60)).await["sub"], "u7");
}

/// A server that is down, or answers something else, costs nobody the connection whose key is known.
#[tokio::test(flavor = "multi_thread")]
async fn known_keys_go_on_while_the_server_is_down() {
    let maker = TokenMaker::new("EdDSA");
    let server = KeyServer::start(&[&maker]).await;
    let host = host(&table(&server, "10ms")).await;
    let token = maker.for_seconds("u7", 600);
    assert_eq!(claims(&host, &token).await["sub"], "u7");
    server.hang_up();
    eventually("a fetch that fails", || async {
        let before = server.asked();
        assert_eq!(claims(&host, &token).await["sub"], "u7");
        server.asked() == before
    })
    .await;
}

/// The keys that were fetched stay through a change of the config, unless they are those of another server.
#[tokio::test(flavor = "multi_thread")]
async fn known_keys_go_on_after_a_reload() {
    let maker = TokenMaker::new("EdDSA");
    let server = KeyServer::start(&[&maker]).await;
    let keys = table(&server, "10m");
    let host = host(&keys).await;
    let token = maker.for_seconds("u7", 600);
    assert_eq!(claims(&host, &token).await["sub"], "u7");
    server.hang_up();
    host.reload(&config(&format!("{keys}leeway = \"10s\"\njwks_timeout = \"1s\""))).await.unwrap();
    assert_eq!(claims(&host, &token).await["sub"], "u7");
    host.reload(&config(&format!("{keys}issuer = \"somebody\""))).await.unwrap();
    assert_refused(&host, &token, "the token is of another `iss`").await;
    let elsewhere = keys.replace(&server.url, "http://127.0.0.1:1/");
    host.reload(&config(&elsewhere)).await.unwrap();
    assert_eq!(refusal(&host, &token).await.0, 503);
}

/// Without any key nobody can be let in, and nobody is turned away for good.
#[tokio::test(flavor = "multi_thread")]
async fn without_keys_clients_are_told_to_come_again() {
    let maker = TokenMaker::new("ES256");
    let server = KeyServer::start(&[&maker]).await;
    let host = host(&format!("{}jwks_bytes = \"1KiB\"", table(&server, "10m"))).await;
    let token = maker.for_seconds("u7", 600);
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(2048));
    for (status, body) in [("500 Oops", "{}"), ("200 OK", "<html>"), ("200 OK", "{\"keys\":[]}"), ("200 OK", &long)] {
        server.say(status, body);
        let before = server.asked();
        eventually("another attempt", || async {
            assert_eq!(refusal(&host, &token).await, (503, None, "the keys of tokens cannot be fetched\n".to_owned()));
            server.asked() > before
        })
        .await;
    }
    // Not each client makes one.
    let before = server.asked();
    for _ in 0..20 {
        assert_eq!(refusal(&host, &token).await.0, 503);
    }
    assert!(server.asked() <= before + 1, "{} {before}", server.asked());
    server.serve_keys(&[&maker]);
    eventually("the keys", || async { try_connect(&host, &token).await.is_ok() }).await;
}

/// With TLS, and an authority of one's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_to_prove_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let maker = TokenMaker::new("ES256");
    let server = KeyServer::secure(&[&maker], &authority, folder.path()).await;
    let token = maker.for_seconds("u7", 600);
    for (name, authority, is_trusted) in
        [("a.pem", Some(&authority), true), ("b.pem", Some(&other), false), ("", None, false)]
    {
        let file = folder.path().join(name);
        let line = authority.map(|authority| {
            std::fs::write(&file, authority.pem()).unwrap();
            format!("jwks_ca = \"{}\"", file.display())
        });
        let host = host(&(table(&server, "10m") + &line.unwrap_or_default())).await;
        match is_trusted {
            true => assert_eq!(claims(&host, &token).await["sub"], "u7"),
            false => assert_eq!(refusal(&host, &token).await.0, 503),
        }
    }
}
