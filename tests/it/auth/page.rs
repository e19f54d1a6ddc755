//! Tokens as a page in a real browser shows them.

use hassock_tests::Browser;

use super::*;

/// A page of a host, with the library and some tokens.
async fn page(host: &TestHost, tokens: &[String]) -> Browser {
    let browser = Browser::start().await;
    // A document of the host, without a policy that forbids scripts.
    browser.open(&format!("http://{}/hassock.js", host.address())).await;
    browser.eval(&format!("(() => {{ window.tokens = {}; return true }})()", json!(tokens))).await;
    browser
}

/// The client library sends another token before the first one expires, over the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn the_library_has_another_token_in_time() {
    let host = host(&format!("{}leeway = \"0s\"", secret())).await;
    let short = maker().for_seconds("u7", 10);
    let mut witness = try_connect(&host, &short).await.unwrap();
    assert_eq!(witness.json().await["sub"], "u7");
    let page = page(&host, &[short, maker().for_seconds("u7", 600)]).await;
    let script = "(() => { window.opened = []; window.ended = []; import('/hassock.js').then(({ connect }) => {
        const client = connect('/probe', { token: () => tokens.shift() });
        client.on('open', ({ connection }) => opened.push(connection));
        client.on('close', ({ code }) => ended.push(code));
        window.client = client;
    }); return true })()";
    page.eval(script).await;
    page.until("opened.length === 1 && tokens.length === 0").await;
    // It has had the first token of the page.
    assert_eq!(witness.closed().await.code, 4401);
    assert_eq!(page.eval("[client.state, opened.length, ended]").await, json!(["open", 1, []]));
}

/// A page without the library, in a browser that refuses an answer that chooses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_offer_its_token_as_a_subprotocol() {
    let host = host(&format!("{}required = false", secret())).await;
    let page = page(&host, &[maker().for_seconds("u7", 600)]).await;
    let script =
        "(() => { const url = location.href.replace('http', 'ws').replace('/hassock.js', '/probe?open=claims');
        window.good = new WebSocket(url, ['hassock.token', 'hassock.token.' + tokens[0]]);
        good.onmessage = ({ data }) => (window.claims = JSON.parse(data));
        window.none = new WebSocket(url);
        none.onclose = ({ code, reason }) => (window.told = [code, reason]);
        return true })()";
    page.eval(script).await;
    page.until("!!(window.claims && window.told)").await;
    assert_eq!(
        page.eval("[claims.sub, good.protocol, told]").await,
        json!(["u7", "hassock.token", [4401, "log in first"]])
    );
}
