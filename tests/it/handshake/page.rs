//! The test page in a real browser, used by keyboard as a developer uses it.

use std::path::Path;

use fantoccini::key::Key;
use hassock::Host;
use hassock::config::Config;
use hassock_tests::{Browser, Client, app, app_with_database, example};
use serde_json::{Value, json};

/// A host with the test page and two apps.
async fn serve(listen: &str) -> Host {
    let chat = app_with_database("chat", &example("chat"), "sqlite::memory:");
    let commands = app("commands", &example("commands"));
    let config = format!("listen = \"{listen}\"\ntest_page = true\n{chat}{commands}");
    Host::start(Config::parse(Path::new("hassock.toml"), &config).unwrap()).await.unwrap()
}

async fn page(host: &Host, hash: &str) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/{hash}", host.local_addr())).await;
    browser
}

/// Wait until the status line begins so.
async fn status(browser: &Browser, beginning: &str) {
    browser.until(&format!("document.querySelector('#status').textContent.startsWith({})", json!(beginning))).await;
}

/// Wait for a row of a kind that begins so.
async fn row(browser: &Browser, kind: &str, beginning: &str) {
    let rows = format!("[...document.querySelectorAll('.row.{kind} .text')]");
    browser.until(&format!("{rows}.some(e => e.textContent.startsWith({}))", json!(beginning))).await;
}

async fn go(browser: &Browser, path: &str) {
    browser.chord(Key::Alt, 'p').await;
    assert_eq!(browser.focus().await, "path");
    browser.chord(Key::Control, 'a').await;
    browser.type_text(path).await;
    browser.press(Key::Enter).await;
}

async fn send(browser: &Browser, text: &str) {
    browser.chord(Key::Alt, 'm').await;
    assert_eq!(browser.focus().await, "message");
    browser.type_text(text).await;
    browser.press(Key::Enter).await;
}

/// The errors on the console but for the one that each failed connection makes, whatever a page does.
async fn console_errors(browser: &Browser) -> Vec<(String, String)> {
    let mut entries = browser.console().await;
    entries.retain(|(level, message)| level != "DEBUG" && !message.contains("WebSocket connection to"));
    entries
}

/// The page connects by itself, shows what is sent and received, and closes; all by keyboard. What others send
/// is text and never markup.
#[tokio::test(flavor = "multi_thread")]
async fn a_developer_tries_the_apps_by_keyboard() {
    let host = serve("127.0.0.1:0").await;
    let address = host.local_addr().to_string();
    let browser = page(&host, "").await;
    assert_eq!(browser.text("header p").await, hassock::VERSION);
    status(&browser, "Open – /chat?room=lobby, no subprotocol, connected in ").await;
    browser.until("document.querySelector('#bar').dataset.state === 'open'").await;
    row(&browser, "notice", &format!("Connecting to ws://{address}/chat?room=lobby")).await;
    row(&browser, "notice", "Open after ").await;

    let mut bob = Client::connect(&address, "/chat?name=bob").await;
    row(&browser, "received", "{\"joined\":\"bob\"}").await;
    send(&browser, "{\"say\":\"hi 😀\"}").await;
    row(&browser, "sent", "{\"say\":\"hi 😀\"}").await;
    row(&browser, "received", "{\"from\":\"guest-1\",\"say\":\"hi 😀\"}").await;
    assert_eq!(bob.json().await, json!({ "from": "guest-1", "say": "hi 😀" }));
    assert_eq!(browser.eval("document.querySelector('#message').value").await, "");
    let markup = "<img src=x onerror='document.title=1'><script>document.title=2</script>";
    bob.send(json!({ "say": markup }).to_string()).await;
    let received = json!({ "from": "bob", "say": markup }).to_string();
    row(&browser, "received", &received).await;
    assert_eq!(browser.eval("document.querySelectorAll('#log img, #log script').length").await, 0);

    // Shift and Enter is a new line; the arrow recalls what was sent.
    browser.type_text("{\"say\":").await;
    browser.chord(Key::Shift, Key::Enter.chars().next().unwrap()).await;
    browser.type_text("\"two lines\"}").await;
    browser.press(Key::Enter).await;
    assert_eq!(bob.json().await["from"], "bob");
    assert_eq!(bob.json().await, json!({ "from": "guest-1", "say": "two lines" }));
    browser.press(Key::Up).await;
    assert_eq!(browser.eval("document.querySelector('#message').value").await, "{\"say\":\n\"two lines\"}");
    browser.press(Key::Down).await;
    assert_eq!(browser.eval("document.querySelector('#message').value").await, "");

    // Every control is reached with Tab, in the order in which it is seen.
    browser.eval("document.querySelector('#app').focus()").await;
    let mut order = Vec::new();
    while !order.contains(&"send".to_owned()) {
        order.push(browser.focus().await);
        assert!(order.len() < 20, "the focus goes in circles: {order:?}");
        browser.press(Key::Tab).await;
    }
    assert_eq!(order, ["app", "path", "subprotocols", "connect", "quit", "pretty", "clear", "log", "message", "send"]);
    // Back to `quit`, and press it: no mouse needed.
    browser.eval("document.querySelector('#quit').focus()").await;
    browser.press(Key::Enter).await;
    status(&browser, "Closed – 1000 normal closure").await;
    row(&browser, "notice", "Closed with 1000, normal closure").await;
    browser.until("document.querySelector('#bar').dataset.state === 'idle'").await;
    assert_eq!(bob.json().await, json!({ "left": "guest-1" }));
    send(&browser, "lost?").await;
    row(&browser, "error", "Not sent: the connection is not open").await;
    assert_eq!(browser.eval("document.querySelector('#message').value").await, "lost?");

    browser.chord(Key::Alt, 'k').await;
    assert_eq!(browser.texts(".row").await, [] as [&str; 0]);
    browser.chord(Key::Control, 'a').await;
    browser.press(Key::Delete).await;
    go(&browser, "commands").await;
    status(&browser, "Open – /commands,").await;
    assert_eq!(browser.eval("document.querySelector('#app').value").await, "/commands");
    send(&browser, "test").await;
    row(&browser, "received", "This is a test!").await;
    browser.chord(Key::Alt, 'q').await;
    status(&browser, "Closed – 1000").await;
    browser.chord(Key::Alt, 'c').await;
    status(&browser, "Open – /commands,").await;
    assert_eq!(console_errors(&browser).await, []);
    browser.close().await;
    bob.close().await;
    assert_eq!(host.drain().await, 0);
}

/// What cannot be connected to is told in words, whoever refuses; waiting can be ended, by mouse too.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_explained() {
    let host = serve("127.0.0.1:0").await;
    let address = host.local_addr().to_string();
    let taken = Client::connect(&address, "/chat?name=bob").await;
    let browser = page(&host, "#/nowhere").await;
    for path in ["/nowhere", "/chat?name=bob"] {
        if path != "/nowhere" {
            go(&browser, path).await;
        }
        row(&browser, "error", &format!("Could not connect to {path}. ")).await;
        let words = browser.texts(".row.error .text").await.join("\n");
        for reason in ["host is not running", "no app is at this path", "module refused"] {
            assert!(words.contains(reason), "`{reason}` is not in {words}");
        }
        // It tries again by itself, as a refusal looks like a host that is down.
        row(&browser, "error", &format!("Could not connect to {path} (try 2)")).await;
        browser.until("!document.querySelector('#retry').hidden").await;
        browser.click("#quit").await;
        browser.until("document.querySelector('#retry').hidden").await;
        status(&browser, "Closed – ").await;
        browser.chord(Key::Alt, 'k').await;
    }
    taken.close().await;
    go(&browser, "/chat?name=bob").await;
    status(&browser, "Open – /chat?name=bob").await;
    browser.click("#quit").await;
    status(&browser, "Closed – 1000").await;
    assert_eq!(console_errors(&browser).await, []);
    browser.close().await;
    assert_eq!(host.drain().await, 0);
}

/// Wherever a countdown begins anew.
const WATCH_COUNTDOWN: &str = "(() => {
    window.waits = [];
    let last = 0;
    new MutationObserver(() => {
        const now = parseFloat(document.querySelector('#countdown').textContent.replace('Retry in ', ''));
        if (now > last) waits.push(now);
        last = now;
    }).observe(document.querySelector('#countdown'), { childList: true });
})()";

/// When the host stops, the page says so and tries again after longer and longer waits, until it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_host_is_survived() {
    let host = serve("127.0.0.1:0").await;
    let address = host.local_addr().to_string();
    let browser = page(&host, "#/commands").await;
    status(&browser, "Open – /commands").await;
    browser.eval(WATCH_COUNTDOWN).await;
    assert_eq!(host.drain().await, 0);
    row(&browser, "error", "Closed with 1001, going away").await;
    row(&browser, "error", "Could not connect to /commands (try 3)").await;
    browser.until("document.querySelector('#bar').dataset.state === 'failed' && waits.length >= 4").await;
    let waits = browser.eval("waits").await;
    let waits: Vec<f64> = waits.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert!(waits.is_sorted_by(|one, next| next > one), "the waits do not grow: {waits:?}");
    assert!(browser.text("#countdown").await.starts_with("Retry in "), "there is no countdown");

    let host = serve(&address).await;
    status(&browser, "Open – /commands").await;
    browser.until("document.querySelector('#retry').hidden").await;
    send(&browser, "test").await;
    row(&browser, "received", "This is a test!").await;

    // Once more, and this time somebody cannot wait.
    browser.chord(Key::Alt, 'k').await;
    assert_eq!(host.drain().await, 0);
    row(&browser, "error", "Could not connect to /commands").await;
    let host = serve(&address).await;
    browser
        .until("document.querySelector('#bar').dataset.state === 'open' || !document.querySelector('#retry').hidden")
        .await;
    browser.chord(Key::Alt, 'r').await;
    status(&browser, "Open – /commands").await;
    assert_eq!(console_errors(&browser).await, []);
    browser.close().await;
    assert_eq!(host.drain().await, 0);
}

/// On a phone everything is within the screen, also with a message that has nowhere to break.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_fits_a_phone() {
    let host = serve("127.0.0.1:0").await;
    let browser = page(&host, "#/commands").await;
    browser.be_a_phone(360, 740).await;
    status(&browser, "Open – /commands").await;
    send(&browser, &"unbreakable".repeat(30)).await;
    row(&browser, "received", "Command not found").await;
    fits(&browser).await;
    go(&browser, "/nowhere?with=a&rather=long&query=that&has=no&place=to&break=anywhere").await;
    browser.until("!document.querySelector('#retry').hidden").await;
    fits(&browser).await;
    browser.close().await;
    assert_eq!(host.drain().await, 0);
}

/// Nothing scrolls sideways, and every control is within the screen's width and large enough for a finger.
async fn fits(browser: &Browser) {
    assert_eq!(browser.eval("[innerWidth, document.documentElement.scrollWidth]").await, json!([360, 360]));
    let outside =
        "[...document.querySelectorAll('input, select, textarea, button, #status, #log, .row *')].filter(e => {
        const box = e.getBoundingClientRect();
        return box.width && (box.left < 0 || box.right > innerWidth);
    }).map(e => e.id || e.className)";
    assert_eq!(browser.eval(outside).await, json!([]));
    let small = "[...document.querySelectorAll('button, select, input:not([type=checkbox]), textarea')].filter(e => {
        const box = e.getBoundingClientRect();
        return box.width && (box.width < 24 || box.height < 24);
    }).map(e => e.id)";
    assert_eq!(browser.eval(small).await, json!([]));
}
