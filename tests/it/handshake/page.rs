//! The test page in a real browser, used by keyboard as a developer uses it.

mod versions;

use std::path::Path;

use fantoccini::key::Key;
use hassock::Host;
use hassock::config::Config;
use hassock_tests::{Browser, Client, app, app_with_database, example};
use serde_json::{Value, json};

/// The messages that the app `chat` offers.
const SAMPLES: [&str; 2] = ["{\"say\":\"hi\"}", "{\"who\":true}"];

/// A host with the test page and two apps.
async fn serve(listen: &str) -> Host {
    let chat = app_with_database("chat", &example("chat"), "sqlite::memory:");
    let chat = format!("{chat}samples = {}\n", json!(SAMPLES));
    let commands = app("commands", &example("commands"));
    let config = format!("listen = \"{listen}\"\ntest_page = true\n{chat}{commands}");
    Host::start(Config::parse(Path::new("hassock.toml"), &config).unwrap()).await.unwrap()
}

async fn page(host: &Host, hash: &str) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/{hash}", host.local_addr().unwrap())).await;
    browser
}

/// Wait until the status line begins with this.
async fn status(browser: &Browser, beginning: &str) {
    browser.until(&format!("document.querySelector('#status').textContent.startsWith({})", json!(beginning))).await;
}

/// Wait for a row of a kind that begins with this.
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

/// The errors on the console, without those that the browser writes by itself whenever it cannot reach a host.
async fn console_errors(browser: &Browser) -> Vec<(String, String)> {
    let is_about_the_network = |message: &str| {
        message.contains("WebSocket connection to") || message.contains("Failed to load resource: net::ERR_")
    };
    let mut entries = browser.console().await;
    entries.retain(|(level, message)| level != "DEBUG" && !is_about_the_network(message));
    entries
}

/// The page connects by itself, shows what is sent and received, and closes; all by keyboard. What others send
/// is text and never markup.
#[tokio::test(flavor = "multi_thread")]
async fn a_developer_tries_the_apps_by_keyboard() {
    let host = serve("127.0.0.1:0").await;
    let address = host.local_addr().unwrap().to_string();
    let browser = page(&host, "").await;
    assert_eq!(browser.text("header p").await, hassock::VERSION);
    status(&browser, "Open – /chat, no subprotocol, connected in ").await;
    browser.until("document.querySelector('#bar').dataset.state === 'open'").await;
    row(&browser, "notice", &format!("Connecting to ws://{address}/chat")).await;
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
        assert!(order.len() < 20, "the focus never reaches `send`: {order:?}");
        browser.press(Key::Tab).await;
    }
    let samples = ["button", "button"];
    let before = ["app", "path", "subprotocols", "connect", "quit", "pretty", "clear", "log"];
    assert_eq!(order, [&before[..], &samples, &["message", "send"]].concat());
    // Focus `quit` and press it without a mouse.
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

/// The error row that begins with this, and the text beside it.
async fn error_row(browser: &Browser, beginning: &str) -> (String, String) {
    row(browser, "error", beginning).await;
    let rows = browser.texts(".row.error .text").await;
    let beside = browser.texts(".row.error .meta").await;
    let index = rows.iter().position(|text| text.starts_with(beginning)).unwrap();
    (rows[index].clone(), beside[index].clone())
}

/// The page says which side refused a handshake, and why. All tries are one row. A user can end the wait, by mouse too.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_explained() {
    let host = serve("127.0.0.1:0").await;
    let address = host.local_addr().unwrap().to_string();
    let taken = Client::connect(&address, "/chat?name=bob").await;
    let browser = page(&host, "#/nowhere").await;
    for (path, explanation, short) in [
        (
            "/nowhere",
            "The host refused /nowhere with 404 Not Found: no app has the path /nowhere",
            "404 Not Found, refused by the host",
        ),
        (
            "/chat?name=bob",
            "The module refused /chat?name=bob with 409 Conflict: bob is taken",
            "409 Conflict, refused by the module",
        ),
        (
            "/chat?name=",
            "The module refused /chat?name= with 400 Bad Request: a name has 1 to 32 characters",
            "400 Bad Request",
        ),
    ] {
        if path != "/nowhere" {
            go(&browser, path).await;
        }
        error_row(&browser, explanation).await;
        status(&browser, &format!("Could not connect – {short}")).await;
        // It tries again by itself, because a restart or a new module may change the response.
        browser.until("document.querySelector('.row.error .meta').textContent.startsWith('3 tries, last ')").await;
        assert_eq!(browser.texts(".row.error").await.len(), 1);
        assert_eq!(browser.texts(".row.notice").await.len(), 1, "each try has a row");
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

/// A sample message is put into the message field, where it can be changed before it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn samples_of_the_config_can_be_sent() {
    let host = serve("127.0.0.1:0").await;
    let browser = page(&host, "#/chat?name=ann").await;
    status(&browser, "Open – /chat?name=ann").await;
    browser.until("document.querySelectorAll('#samples button').length === 2").await;
    assert_eq!(browser.texts("#samples button").await, SAMPLES);
    browser.click("#samples button").await;
    assert_eq!(browser.focus().await, "message");
    assert_eq!(browser.eval("document.querySelector('#message').value").await, SAMPLES[0]);
    browser.press(Key::Enter).await;
    row(&browser, "received", "{\"from\":\"ann\",\"say\":\"hi\"}").await;
    // The colours do not change the text.
    assert_eq!(browser.texts(".row.received .json .k").await[..2], ["\"from\"", "\"say\""]);
    assert_eq!(browser.texts(".row.received .json .s").await[..2], ["\"ann\"", "\"hi\""]);
    // The other app has no samples.
    go(&browser, "/commands").await;
    status(&browser, "Open – /commands").await;
    browser.until("document.querySelector('#samples').hidden").await;
    browser.close().await;
    assert_eq!(host.drain().await, 0);
}

/// Two clients side by side are two connections, each with its own log, and talk to each other.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_talk_to_each_other() {
    let host = serve("127.0.0.1:0").await;
    let browser = page(&host, "#/chat?name=ann").await;
    status(&browser, "Open – /chat?name=ann").await;
    browser.click("#second").await;
    browser
        .until("document.querySelector('#status-2').textContent.includes('409 Conflict, refused by the module')")
        .await;
    browser.chord(Key::Alt, 'p').await;
    assert_eq!(browser.focus().await, "path-2");
    browser.chord(Key::Control, 'a').await;
    browser.type_text("/chat?name=bob").await;
    browser.press(Key::Enter).await;
    browser.until("document.querySelector('#bar-2').dataset.state === 'open'").await;
    assert_eq!(host.connections(), 2);
    browser.chord(Key::Alt, 'm').await;
    assert_eq!(browser.focus().await, "message-2");
    browser.type_text("{\"say\":\"from bob\"}").await;
    browser.press(Key::Enter).await;
    let said = "{\"from\":\"bob\",\"say\":\"from bob\"}";
    row(&browser, "received", said).await;
    for client in ["#client-1", "#client-2"] {
        browser.until(&format!("document.querySelector('{client} .log').textContent.includes({})", json!(said))).await;
    }
    assert_eq!(browser.texts("#client-1 .row.sent").await, [] as [&str; 0]);
    // Every label names a field of its own client, and ids are unique.
    let ids = "[...document.querySelectorAll('[id]')].map(e => e.id)";
    assert_eq!(browser.eval(&format!("new Set({ids}).size === {ids}.length")).await, true);
    let wrong = "[...document.querySelectorAll('.client label[for]')].filter(e => !e.closest('.client').contains(e.control)).length";
    assert_eq!(browser.eval(wrong).await, 0);
    browser.chord(Key::Alt, 'o').await;
    assert_eq!(browser.focus().await, "message");
    browser.chord(Key::Alt, 's').await;
    browser.until("!document.querySelector('#client-2')").await;
    row(&browser, "received", "{\"left\":\"bob\"}").await;
    assert_eq!(console_errors(&browser).await, []);
    browser.close().await;
    assert_eq!(host.drain().await, 0);
}

/// Collects the value at which each countdown begins.
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
    let address = host.local_addr().unwrap().to_string();
    let browser = page(&host, "#/commands").await;
    status(&browser, "Open – /commands").await;
    browser.eval(WATCH_COUNTDOWN).await;
    assert_eq!(host.drain().await, 0);
    row(&browser, "error", "Closed with 1001, going away").await;
    let (reason, _) = error_row(&browser, "Could not connect to /commands: the host does not respond").await;
    assert!(reason.ends_with("Is it running?"), "{reason}");
    browser.until("document.querySelector('#bar').dataset.state === 'failed' && waits.length >= 4").await;
    let waits = browser.eval("waits").await;
    let waits: Vec<f64> = waits.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert!(waits.is_sorted_by(|one, next| next > one), "the waits do not grow: {waits:?}");
    let (_, beside) = error_row(&browser, "Could not connect to /commands").await;
    assert!(beside.starts_with(&format!("{} tries, last ", waits.len() - 1)), "{beside} after {waits:?}");
    assert_eq!(browser.texts(".row.error").await.len(), 2, "each try has a row");
    assert!(browser.text("#countdown").await.starts_with("Retry in "), "there is no countdown");

    let host = serve(&address).await;
    status(&browser, "Open – /commands").await;
    browser.until("document.querySelector('#retry').hidden").await;
    send(&browser, "test").await;
    row(&browser, "received", "This is a test!").await;

    // Once more, and this time the user does not wait.
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

/// On a phone everything is within the screen, also a message that has no place to break.
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
    // The help is over the page, and the log stays as it is.
    let height = browser.eval("document.querySelector('#log').clientHeight").await;
    assert!(height.as_u64().is_some_and(|height| height >= 200), "the log has {height} pixels");
    browser.click("#show-help").await;
    browser.until("document.querySelector('#help').open").await;
    assert_eq!(browser.eval("document.querySelector('#log').clientHeight").await, height);
    fits(&browser).await;
    browser.click("#hide-help").await;
    // Of two clients, one is visible.
    browser.click("#second").await;
    fits(&browser).await;
    let seen = "['client-1', 'client-2'].filter(id => document.getElementById(id).offsetHeight)";
    assert_eq!(browser.eval(seen).await, json!(["client-2"]));
    browser.click("#tab-1").await;
    assert_eq!(browser.eval(seen).await, json!(["client-1"]));
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
