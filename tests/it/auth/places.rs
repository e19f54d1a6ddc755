//! Where a request has its token.

use hassock_tests::Speaker;
use hassock_tests::speaker::state;

use super::*;

/// Ask with these header fields.
async fn connect(host: &TestHost, path: &str, fields: &[(&'static str, String)]) -> Result<Client, Error> {
    Client::with(&host.address(), path, |request| {
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
    })
    .await
}

/// Each place, alone and beside others: the first in the config that has a token counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_from_each_place() {
    let places = "token_from = [\"cookie:session\", \"query:jwt\", \"header\", \"subprotocol\"]";
    let host = host(&format!("{}{places}", secret())).await;
    let token = |user: &str| maker().for_seconds(user, 60);
    let header = ("authorization", format!("bearer {}", token("header")));
    let cookie = ("cookie", format!("a=1; session={}; b=2", token("cookie")));
    let offer = ("sec-websocket-protocol", format!("hassock.token, hassock.token.{}", token("offer")));
    let plain = "/probe?open=claims";
    let query = format!("{plain}&jwt={}", token("query"));
    for (path, fields, user) in [
        (plain, vec![header.clone()], "header"),
        (plain, vec![cookie.clone()], "cookie"),
        (plain, vec![offer.clone()], "offer"),
        (&query, vec![], "query"),
        (&query, vec![offer.clone(), header.clone(), cookie], "cookie"),
        (&query, vec![offer.clone(), header.clone()], "query"),
        (plain, vec![offer, header.clone()], "header"),
    ] {
        let mut client = connect(&host, path, &fields).await.unwrap();
        assert_eq!(client.json().await["sub"], user, "{path} {fields:?}");
    }
    // A token that is not accepted is not made good by one in a later place.
    let bad = connect(&host, "/probe?jwt=bad", &[header]).await;
    assert!(matches!(bad, Err(Error::Http(response)) if response.status() == 401));
}

/// A place that the config does not name is none.
#[tokio::test(flavor = "multi_thread")]
async fn other_places_do_not_count() {
    let host = host(&secret()).await;
    let token = maker().for_seconds("u7", 60);
    let query = format!("/probe?token={token}&jwt={token}&access_token={token}");
    let cookie = ("cookie", format!("token={token}"));
    let basic = ("authorization", format!("Basic {token}"));
    let refused = connect(&host, &query, &[cookie, basic]).await;
    let Err(Error::Http(response)) = refused else { panic!("not refused") };
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &HeaderValue::from_static("Bearer"))
    );
}

/// The module sees its own subprotocols, and no token among them.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_among_the_subprotocols_is_not_for_the_module() {
    let host = host(&secret()).await;
    let token = maker().for_seconds("u7", 60);
    let offer = ("sec-websocket-protocol", format!("hassock.token.{token}, chat.v1"));
    let mut client = connect(&host, "/probe?open=describe", std::slice::from_ref(&offer)).await.unwrap();
    assert_eq!(client.json().await["subprotocols"], json!(["chat.v1"]));
    assert_eq!(client.response.headers()["sec-websocket-protocol"], "chat.v1");
    let mut client = connect(&host, "/probe?open=offered", &[offer]).await.unwrap();
    assert_eq!(client.text().await, "chat.v1");
    // A browser does not accept an answer that chooses none of what its page offers.
    let offer = ("sec-websocket-protocol", format!("hassock.token, hassock.token.{token}"));
    let client = connect(&host, "/probe", &[offer]).await.unwrap();
    assert_eq!(client.response.headers()["sec-websocket-protocol"], "hassock.token");
    let offer = ("sec-websocket-protocol", format!("hassock.token, chat.v1, hassock.token.{token}"));
    let client = connect(&host, "/probe", &[offer]).await.unwrap();
    assert_eq!(client.response.headers()["sec-websocket-protocol"], "chat.v1", "the module chooses first");

    let said = state(&json!({ "token": token }).to_string());
    let offers = ["hassock.v1", said.as_str(), "chat.v1"];
    let mut speaker = Speaker::with(&host.address(), "/probe?open=describe", &offers).await.unwrap();
    let described: Value = serde_json::from_str(&speaker.next().await.payload).unwrap();
    assert_eq!(described["subprotocols"], json!(["chat.v1"]));
    let mut speaker = Speaker::with(&host.address(), "/probe?open=offered", &offers).await.unwrap();
    assert_eq!(speaker.next().await.payload, "hassock.v1, chat.v1");
    let mut speaker = Speaker::with(&host.address(), "/probe?open=claims", &["hassock.v1", &said]).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&speaker.next().await.payload).unwrap()["sub"], "u7");
}

/// The state of `hassock.v1` is one of the places of `subprotocol`, and of no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_client_has_no_token_for_other_places() {
    let host = host(&format!("{}token_from = [\"header\"]", secret())).await;
    let said = state(&json!({ "token": maker().for_seconds("u7", 60) }).to_string());
    let refused = Speaker::with(&host.address(), "/probe", &["hassock.v1", &said]).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 401));
}
