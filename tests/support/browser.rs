//! A real browser without a window, driven by keyboard as a user would.

use std::io;
use std::path::Path;
use std::process::Command;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{Process, eventually, within};

/// No window, no sandbox (which root cannot have), and nothing that goes to the network by itself.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with an empty profile. It ends, with its driver, when this is dropped.
pub struct Browser {
    client: Client,
    driver: String,
    // In this order: the programs end before their folder is removed.
    _process: Process,
    _profile: TempDir,
}

impl Browser {
    /// Start Chromium.
    ///
    /// # Panics
    /// If there is none on this machine, or it does not start.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let (process, port) = start_driver(profile.path()).await;
        let driver = format!("127.0.0.1:{port}");
        let user_data = format!("--user-data-dir={}", profile.path().join("profile").display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([user_data.as_str(), "--window-size=1100,800"]).collect();
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities = capabilities.as_object().cloned().unwrap_or_default();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://{driver}"))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        Self { client, driver, _process: process, _profile: profile }
    }

    /// Open a page and wait until it is loaded.
    ///
    /// # Panics
    /// If it is not.
    pub async fn open(&self, url: &str) {
        let loaded = within("the page", self.client.goto(url)).await;
        loaded.unwrap_or_else(|error| panic!("{url} does not load: {error}"));
    }

    /// The value of an expression in the page.
    ///
    /// # Panics
    /// If it throws.
    pub async fn eval(&self, expression: &str) -> Value {
        let result = within(expression, self.client.execute(&format!("return {expression}"), Vec::new())).await;
        result.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Wait until an expression is true in the page.
    ///
    /// # Panics
    /// If it does not become true.
    pub async fn until(&self, expression: &str) {
        eventually(expression, || async { self.eval(expression).await == true }).await;
    }

    /// The text of the first element that a selector finds, as a user sees it.
    pub async fn text(&self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText ?? ''", json!(selector))).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The texts of all elements that a selector finds.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let texts =
            self.eval(&format!("[...document.querySelectorAll({})].map(e => e.textContent)", json!(selector))).await;
        let text = |text: &Value| text.as_str().unwrap_or_default().to_owned();
        texts.as_array().into_iter().flatten().map(text).collect()
    }

    /// Type on the keyboard, into the focused element.
    pub async fn type_text(&self, text: &str) {
        let press = |actions: KeyActions, value| actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.perform(text.chars().fold(keyboard(), press)).await;
    }

    /// Press a key, such as `Key::Enter`.
    pub async fn press(&self, key: Key) {
        self.type_text(&key.to_string()).await;
    }

    /// Press a key while another is held, such as `Key::Alt` and `m`.
    pub async fn chord(&self, held: Key, value: impl Into<char>) {
        let (held, value) = (code(held), value.into());
        let keys = keyboard().then(KeyAction::Down { value: held }).then(KeyAction::Down { value });
        self.perform(keys.then(KeyAction::Up { value }).then(KeyAction::Up { value: held })).await;
    }

    async fn perform(&self, keys: KeyActions) {
        let typed = within("typing", self.client.perform_actions(keys)).await;
        typed.unwrap_or_else(|error| panic!("cannot type: {error}"));
    }

    /// The id of the element that has the focus; its name if it has no id.
    pub async fn focus(&self) -> String {
        let focus = self.eval("document.activeElement.id || document.activeElement.localName").await;
        focus.as_str().unwrap_or_default().to_owned()
    }

    /// Click on an element.
    ///
    /// # Panics
    /// If it is not there, or something hides it.
    pub async fn click(&self, selector: &str) {
        let element = within(selector, self.client.find(fantoccini::Locator::Css(selector))).await;
        let element = element.unwrap_or_else(|error| panic!("there is no {selector}: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("cannot click on {selector}: {error}"));
    }

    /// Show the page as a phone of this size does.
    pub async fn be_a_phone(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": true });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.command("goog/cdp/execute", &command).await;
    }

    /// What the console has shown since the last time: level and message.
    pub async fn console(&self) -> Vec<(String, String)> {
        let entries = self.command("se/log", &json!({ "type": "browser" })).await;
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        entries.as_array().into_iter().flatten().map(|entry| (text(entry, "level"), text(entry, "message"))).collect()
    }

    /// A command of chromedriver that WebDriver, and so fantoccini, does not have.
    async fn command(&self, path: &str, body: &Value) -> Value {
        let session = self.client.session_id().await.ok().flatten().unwrap_or_default();
        let (body, driver) = (body.to_string(), &self.driver);
        let request = format!(
            "POST /session/{session}/{path} HTTP/1.1\r\nHost: {driver}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = within(path, async {
            let mut socket = TcpStream::connect(driver).await?;
            socket.write_all(request.as_bytes()).await?;
            read_answer(&mut socket).await
        });
        let (head, body) = answer.await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}{body}");
        serde_json::from_str::<Value>(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))["value"].take()
    }

    /// Close the browser as a user does.
    ///
    /// # Panics
    /// If it does not close.
    pub async fn close(self) {
        let closed = within("the end of the browser", self.client.clone().close()).await;
        closed.unwrap_or_else(|error| panic!("the browser does not close: {error}"));
    }
}

/// Chromedriver on a free port. It takes one that is free for IPv6, and ends if that is not free for IPv4, which
/// happens when many tests run; then the next one may work.
async fn start_driver(home: &Path) -> (Process, String) {
    for _ in 0..20 {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").current_dir(home).env("HOME", home);
        let process = Process::start(command);
        if let Some(port) = process.line_if_any("ChromeDriver was started successfully on port ").await {
            return (process, port.trim_end_matches('.').to_owned());
        }
        eprintln!("chromedriver ended: {}{}", process.stdout(), process.stderr());
    }
    panic!("chromedriver does not start");
}

/// Head and body; chromedriver leaves the connection open behind them.
async fn read_answer(socket: &mut TcpStream) -> io::Result<(String, String)> {
    let mut lines = BufReader::new(socket);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        lines.read_line(&mut head).await?;
        let line = head[start..].trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).await?;
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}

fn keyboard() -> KeyActions {
    KeyActions::new("keyboard".to_owned())
}

fn code(key: Key) -> char {
    key.chars().next().unwrap_or_default()
}
