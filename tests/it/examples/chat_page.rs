//! The page of the example `chat` in a real browser, with a network that fails.

use fantoccini::key::Key;
use hassock::Host;
use hassock::config::{Config, Overrides, PublicFiles};
use hassock_tests::{Browser, Client, Proxy, app_with_database, example, workspace};
use serde_json::{Value, json};

/// A host as `hassock dev` starts it: with the files of the example.
async fn serve() -> Host {
    let chat = app_with_database("chat", &example("chat"), "sqlite::memory:");
    let topics = "[apps.chat.topics.\"room:*\"]\nhistory = 200\nkeep = \"10m\"\npresence = true\n";
    let file = workspace().join("examples-wasm/chat/hassock.toml");
    let config = Config::parse(&file, &format!("listen = \"127.0.0.1:0\"\ntest_page = true\n{chat}{topics}")).unwrap();
    let overrides = Overrides { public: PublicFiles::BesideConfig, watch: Some(false), ..Overrides::default() };
    Host::start(config.overridden(overrides)).await.unwrap()
}

/// The lines of the room as the page shows them: who, and what.
async fn lines(browser: &Browser) -> Vec<String> {
    let all = browser.eval("[...document.querySelectorAll('#lines li:not(.quiet)')].map(e => e.textContent)").await;
    all.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

async fn shows(browser: &Browser, line: &str) {
    let rows = "[...document.querySelectorAll('#lines li:not(.waiting)')]";
    browser.until(&format!("{rows}.some(e => e.textContent === {})", json!(line))).await;
}

async fn say(browser: &Browser, text: &str) {
    browser.eval("document.querySelector('input').focus()").await;
    browser.type_text(text).await;
    browser.press(Key::Enter).await;
}

async fn until_status(browser: &Browser, beginning: &str) {
    let status = "document.querySelector('#status').textContent";
    browser
        .until(&format!(
            "{status} === {beginning} || ({beginning} && {status}.startsWith({beginning}))",
            beginning = json!(beginning)
        ))
        .await;
}

/// Somebody joins by the form, reads what was said before, talks, and neither loses a line nor sees one twice while the
/// connection is interrupted.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_loses_nothing() {
    let host = serve().await;
    let address = host.local_addr().unwrap().to_string();
    let proxy = Proxy::start(&address).await;
    let mut bob = Client::connect(&address, "/chat?name=bob").await;
    let mut expected = Vec::new();
    for number in 1..=3 {
        bob.send(json!({ "say": format!("before {number}") }).to_string()).await;
        assert_eq!(bob.json().await["say"], format!("before {number}"));
        expected.push(format!("bobbefore {number}"));
    }
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.address)).await;
    say(&browser, "alice").await;
    shows(&browser, "bobbefore 3").await;
    until_status(&browser, "").await;
    assert_eq!(bob.json().await, json!({ "joined": "alice" }));
    browser.until("document.querySelectorAll('#people li').length === 2").await;
    assert_eq!(browser.texts("#people li").await, ["bob", "alice"]);

    say(&browser, "hello <b>bob</b>").await;
    expected.push("alicehello <b>bob</b>".to_owned());
    shows(&browser, "alicehello <b>bob</b>").await;
    assert_eq!(lines(&browser).await, expected);
    let heard = bob.json().await;
    assert_eq!(heard, json!({ "from": "alice", "say": "hello <b>bob</b>" }));

    for round in 1..=5 {
        // Nothing gets through until bob has spoken and alice too.
        proxy.hold();
        proxy.cut();
        until_status(&browser, "reconnecting…").await;
        let missed = format!("round {round}");
        bob.send(json!({ "say": missed }).to_string()).await;
        say(&browser, &format!("answer {round}")).await;
        browser.until("document.querySelectorAll('#lines .waiting').length === 1").await;
        proxy.release();
        shows(&browser, &format!("aliceanswer {round}")).await;
        until_status(&browser, "").await;
        expected.extend([format!("bobround {round}"), format!("aliceanswer {round}")]);
        assert_eq!(lines(&browser).await, expected);
    }
    // Bob has heard each line of alice once.
    bob.send(json!({ "say": "the end" }).to_string()).await;
    let mut heard = Vec::new();
    loop {
        let message: Value = bob.json().await;
        match message["say"].as_str() {
            Some("the end") => break,
            Some(line) if message["from"] == "alice" => heard.push(line.to_owned()),
            _ => {}
        }
    }
    assert_eq!(heard, (1..=5).map(|round| format!("answer {round}")).collect::<Vec<_>>());
    shows(&browser, "bobthe end").await;
    drop(bob);
    browser.until("document.querySelectorAll('#people li').length === 1").await;
    let errors = browser.console().await;
    let is_ours = |message: &str| !message.contains("WebSocket connection to") && !message.contains("net::ERR_");
    assert_eq!(errors.iter().filter(|(_, message)| is_ours(message)).count(), 0, "{errors:?}");
    browser.close().await;
    drop(host);
}
