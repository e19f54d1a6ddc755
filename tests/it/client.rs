//! The client library of `host/client` in a real browser, with a real host and a network between them that fails.

use hassock_tests::{Browser, Proxy, Side, TestHost, app_with_database, guest};
use serde_json::{Value, json};

/// Milliseconds in which the host says something. The library waits for ten seconds longer.
const HEARTBEAT: u64 = 2_000;

/// A browser with a page of the library, a network, and a host, to which somebody publishes numbers.
struct Page {
    browser: Browser,
    proxy: Proxy,
    host: TestHost,
    /// The last number.
    last: usize,
}

fn config(more: &str) -> String {
    format!(
        "{}[apps.probe.limits]\nkeepalive = \"{HEARTBEAT}ms\"\n[apps.probe.topics.numbers]\nhistory = 5000\n\
         keep = \"10m\"\n{more}",
        app_with_database("probe", &guest("probe"), "sqlite::memory:")
    )
}

impl Page {
    async fn open(more: &str) -> Self {
        Self::of(&config(more)).await
    }

    async fn of(config: &str) -> Self {
        let host = TestHost::start(config).await;
        let proxy = Proxy::start(&host.address()).await;
        let browser = Browser::start().await;
        // A document of the host, without a policy that forbids scripts.
        browser.open(&format!("http://{}/hassock.js", proxy.address)).await;
        browser.eval(include_str!("client/page.js")).await;
        browser.until("page.ready").await;
        Self { browser, proxy, host, last: 0 }
    }

    /// Publish so many numbers.
    async fn publish(&mut self, count: usize) {
        // The host gives up one that does not read for as long as a test waits.
        let mut publisher = self.host.connect("/probe").await;
        for _ in 0..count {
            self.last += 1;
            let publish = json!({ "publish": { "topic": "numbers", "text": self.last.to_string() } });
            publisher.probe(publish).await;
        }
        publisher.close().await;
    }

    /// Wait until both clients have every number, once and in order.
    async fn has_all(&self) {
        for client in ["own", "guest"] {
            self.browser.until(&format!("page.clients.{client}.hasAll({})", self.last)).await;
        }
    }

    /// What both clients say of an event so far.
    async fn events(&self, client: &str, kind: &str) -> Vec<Value> {
        let events =
            format!("page.clients.{client}.events.filter(([kind]) => kind === '{kind}').map(([, event]) => event)");
        self.browser.eval(&events).await.as_array().cloned().unwrap()
    }

    /// Nothing was missing, and each client was interrupted so often at least.
    async fn recovered(&self, interruptions: usize) {
        for client in ["own", "guest"] {
            assert_eq!(self.events(client, "gap").await, Vec::<Value>::new());
            assert_eq!(self.events(client, "error").await, Vec::<Value>::new());
            let recovered = self.events(client, "recovered").await;
            assert!(recovered.len() >= interruptions, "{client}: {} times", recovered.len());
            assert_eq!(recovered[0], json!({ "topic": "numbers" }));
        }
    }

    /// Wait until an expression is true for both clients.
    async fn until(&self, condition: &str) {
        for client in ["own", "guest"] {
            self.browser.until(&condition.replace("it.", &format!("page.clients.{client}."))).await;
        }
    }
}

/// Connections are reset while messages are on their way. Invariant 10, up to the page.
#[tokio::test(flavor = "multi_thread")]
async fn resets_lose_repeat_and_reorder_nothing() {
    let mut page = Page::open("").await;
    for round in 0..15 {
        page.publish(10 + round).await;
        page.proxy.cut();
        page.publish(30).await;
        if round % 3 == 0 {
            // Before or after the page has connected again.
            page.proxy.cut();
            page.publish(5).await;
        }
        page.has_all().await;
    }
    page.recovered(15).await;
    let connected = page.events("own", "open").await;
    assert_eq!((&connected[0]["again"], &connected[1]["again"]), (&json!(false), &json!(true)));
}

/// A connection that goes on: what a page sends arrives once and in order too, and nothing has to be recovered.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_its_connection_again() {
    let mut page = Page::of(&config("").replace("keepalive =", "resume_for = \"60s\"\nkeepalive =")).await;
    let before = page.browser.eval("page.clients.own.client.connection").await;
    let mut sent = 0;
    for round in 0..12 {
        page.publish(5).await;
        let send = format!("Array.from({{ length: 20 }}, (_, n) => page.clients.own.client.send(String({sent} + n)))");
        page.browser.eval(&send).await;
        sent += 20;
        match round % 3 {
            0 => page.proxy.cut(),
            1 => page.proxy.end(Side::Client),
            _ => page.proxy.end(Side::Server),
        }
        page.publish(5).await;
        page.has_all().await;
        page.browser.until(&format!("page.clients.own.count('message') === {sent}")).await;
    }
    let echoes: Vec<_> = (0..sent).map(|number| json!({ "data": number.to_string() })).collect();
    assert_eq!(page.events("own", "message").await, echoes);
    for kind in ["gap", "recovered", "error"] {
        assert_eq!(page.events("own", kind).await, Vec::<Value>::new());
    }
    let opened = page.events("own", "open").await;
    assert!(opened.len() > 12 && opened[1..].iter().all(|open| open["resumed"] == true), "{opened:?}");
    assert_eq!(page.browser.eval("page.clients.own.client.connection").await, before);
}

/// A line that swallows everything without an end of the connection is noticed, and what comes out of it later does not
/// count.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_line_is_left() {
    let mut page = Page::open("").await;
    page.publish(20).await;
    page.has_all().await;
    page.proxy.hold();
    page.publish(20).await;
    page.until("it.client.state !== 'open'").await;
    for client in ["own", "guest"] {
        assert_eq!(page.events(client, "close").await[0]["reason"], "nothing came for too long");
    }
    page.publish(20).await;
    page.proxy.release();
    page.has_all().await;
    page.recovered(1).await;
}

/// Either direction of the connection ends, and the other one does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_which_one_half_has_ended_is_left() {
    let mut page = Page::open("").await;
    for (round, side) in [Side::Client, Side::Server, Side::Client, Side::Server].into_iter().enumerate() {
        page.publish(20).await;
        page.proxy.end(side);
        page.publish(20).await;
        page.until(&format!("it.count('close') > {round}")).await;
        page.has_all().await;
    }
    page.recovered(4).await;
}

/// What a history does not keep is told as a gap, before what it does keep.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told() {
    let mut page = Page::open("").await;
    page.publish(3).await;
    page.has_all().await;
    page.host.reload(&config("").replace("history = 5000", "history = 10")).await.unwrap();
    page.proxy.hold();
    page.proxy.cut();
    page.publish(30).await;
    page.proxy.release();
    page.until("it.numbers.at(-1) === 33").await;
    for client in ["own", "guest"] {
        assert_eq!(page.events(client, "gap").await, [json!({ "topic": "numbers", "gap": "count" })]);
        let numbers = page.browser.eval(&format!("page.clients.{client}.numbers")).await;
        assert_eq!(numbers, json!([1, 2, 3].into_iter().chain(24..=33).collect::<Vec<_>>()));
    }
}

/// The host stops and another one starts: the page says what it has lost, and what was sent meanwhile arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_outlives_its_host() {
    let mut page = Page::open("").await;
    page.publish(5).await;
    page.has_all().await;
    let address = page.host.address();
    page.host.drain().await;
    page.browser.until("page.clients.own.count('close') === 1").await;
    page.browser.eval("page.clients.own.client.send('while the host was gone')").await;
    let host = TestHost::start_as_is(&format!("listen = \"{address}\"\n{}", config(""))).await;
    page.browser.until("page.clients.own.count('message') === 1").await;
    page.browser.until("page.clients.own.count('gap') === 1 && page.clients.guest.count('gap') === 1").await;
    let mut publisher = host.connect("/probe").await;
    publisher.probe(json!({ "publish": { "topic": "numbers", "text": "6" } })).await;
    page.browser.until("page.clients.own.hasAll(6) && page.clients.guest.hasAll(6)").await;
    let of_own = |kind: &str| format!("page.clients.own.events.find(([kind]) => kind === '{kind}')[1]");
    assert_eq!(page.browser.eval(&of_own("gap")).await, json!({ "topic": "numbers", "gap": "restart" }));
    assert_eq!(page.browser.eval(&of_own("message")).await, json!({ "data": "while the host was gone" }));
    let close = page.browser.eval(&of_own("close")).await;
    assert_eq!((&close["code"], &close["reconnect"]), (&json!(1001), &json!(true)));
}

/// Requests, refusals, bytes, and the end: all that a page does beside topics.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_asks_and_is_answered() {
    let page = Page::open("").await;
    let eval = async |code: &str| {
        let code = format!("(async () => {{ const {{ client }} = page.clients.own; {code} }})()");
        let settle = ".then((value) => { page.value = { value } }, (error) => { page.value = { code: error.code, text: error.message } })";
        page.browser.eval(&format!("(page.value = undefined, {code}{settle}, true)")).await;
        page.browser.until("page.value !== undefined").await;
        page.browser.eval("page.value").await
    };
    let subscribers = eval("return client.request('{\"subscribers\": \"numbers\"}')").await;
    let subscribers: Vec<u64> = serde_json::from_str(subscribers["value"].as_str().unwrap()).unwrap();
    assert_eq!(subscribers.len(), 2);
    let bytes = "const bytes = await client.request(new Uint8Array([0, 10, 255])); return [...bytes]";
    assert_eq!(eval(bytes).await, json!({ "value": [0, 10, 255] }));
    let refused = eval("return client.subscribe('secret', () => {}).ready").await;
    assert_eq!(refused, json!({ "code": "refused", "text": "not this one" }));
    assert_eq!(eval("return client.request('{\"no\": \"command\"}')").await["code"], "refused");
    let echo = "const echo = new Promise((resolve) => client.on('message', resolve));\
                client.send(new Uint8Array([10, 1])); return [...(await echo).data]";
    assert_eq!(eval(echo).await, json!({ "value": [10, 1] }));
    // A request that is under way when the connection breaks.
    let broken = "page.asked = client.request('\"sleep\"'); page.asked.catch(() => {})";
    eval(broken).await;
    page.proxy.cut();
    assert_eq!(eval("return page.asked").await["code"], "disconnected");
    // The module may not want the client back.
    let closing = json!({ "close": { "code": 4403, "reason": "go away" } }).to_string();
    page.browser.until("page.clients.own.client.state === 'open'").await;
    eval(&format!("client.send({})", json!(closing))).await;
    page.browser.until("page.clients.own.client.state === 'closed'").await;
    let last = page.events("own", "close").await.pop().unwrap();
    assert_eq!(last, json!({ "code": 4403, "reason": "go away", "reconnect": false, "unsent": 0 }));
    assert_eq!(eval("client.send('too late')").await["code"], "closed");
}

/// A page that nobody sees any more, or that is offline, comes back when that changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_there_again_is_used_at_once() {
    let page = Page::open("").await;
    // No attempt within a minute, if nothing happens.
    let patient = "(import('/hassock.js').then(({ connect }) => {\
                   page.patient = connect('/probe', { backoff: { base: 6e7, cap: 6e7 } }) }), true)";
    page.browser.eval(patient).await;
    page.browser.until("page.patient?.state === 'open'").await;
    page.proxy.cut();
    page.browser.until("page.patient.state === 'waiting'").await;
    page.browser.eval("window.dispatchEvent(new Event('online'))").await;
    page.browser.until("page.patient.state === 'open'").await;
    page.proxy.cut();
    page.browser.until("page.patient.state === 'waiting'").await;
    page.browser.eval("document.dispatchEvent(new Event('visibilitychange'))").await;
    page.browser.until("page.patient.state === 'open'").await;
}
