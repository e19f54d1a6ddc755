//! The API over real sockets: its operations, its errors, its tokens, its connections, and its description.

mod connections;
mod errors;
mod examples;
mod history;
mod operations;
mod schema;
mod tokens;

use hassock_tests::raw::Answer;
use hassock_tests::{Raw, TestHost, app_with_database, guest};
use serde_json::{Value, json};

/// A token for everything.
const ALL: &str = "all-0123456789abcdef";

/// Tables of tokens: one for everything, and one for each scope.
const TOKENS: &str = "[api.tokens.all]\ntoken = \"all-0123456789abcdef\"\napps = \"*\"\n\
    scopes = [\"publish\", \"send\", \"close\", \"topics\", \"history\", \"presence\"]\n\
    [api.tokens.publish]\ntoken = \"publish-0123456789abcdef\"\napps = [\"probe\"]\nscopes = [\"publish\"]\n\
    [api.tokens.send]\ntoken = \"send-0123456789abcdef\"\napps = [\"probe\"]\nscopes = [\"send\"]\n\
    [api.tokens.close]\ntoken = \"close-0123456789abcdef\"\napps = [\"probe\"]\nscopes = [\"close\"]\n\
    [api.tokens.topics]\ntoken = \"topics-0123456789abcdef\"\napps = [\"probe\"]\nscopes = [\"topics\"]\n\
    [api.tokens.presence]\ntoken = \"presence-0123456789abcdef\"\napps = [\"probe\"]\nscopes = [\"presence\"]\n\
    [api.tokens.history]\ntoken = \"history-0123456789abcdef\"\napps = [\"probe\"]\nscopes = [\"history\"]\n";

/// A host with the app `probe` and the API.
struct Bench {
    host: TestHost,
}

impl Bench {
    /// With the tokens of [`TOKENS`].
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// With more keys of `[api]`, and more of the app.
    async fn with(api: &str, app: &str) -> Self {
        Self { host: TestHost::start(&config(api, app)).await }
    }

    /// Where the API is.
    fn address(&self) -> String {
        self.host.host.api_address().expect("there is no API").to_string()
    }

    /// Ask with a token.
    async fn ask(&self, token: &str, line: &str, body: Option<&str>) -> Answer {
        let mut raw = Raw::connect(&self.address()).await;
        raw.send(request(token, line, body)).await;
        raw.answer().await
    }

    /// `POST` below the app, with the token for everything.
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(ALL, &format!("POST /v1/apps/probe/{path}"), Some(&body.to_string())).await
    }

    /// The same for a request that succeeds.
    async fn done(&self, path: &str, body: Value) -> Value {
        succeeded(self.post(path, body).await)
    }

    /// `GET` below the app, for a request that succeeds.
    async fn get(&self, path: &str) -> Value {
        succeeded(self.ask(ALL, &format!("GET /v1/apps/probe/{path}"), None).await)
    }

    /// The description of the API.
    async fn document(&self) -> Value {
        let mut raw = Raw::connect(&self.address()).await;
        raw.send("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n").await;
        succeeded(raw.answer().await)
    }
}

/// The config of a bench.
fn config(api: &str, app: &str) -> String {
    let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    format!("[api]\nlisten = \"127.0.0.1:0\"\n{api}\n{TOKENS}{probe}{app}")
}

/// A request with a token, and with JSON as its body.
fn request(token: &str, line: &str, body: Option<&str>) -> String {
    let fields = body.map(|body| format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    let (fields, body) = (fields.unwrap_or_default(), body.unwrap_or_default());
    format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{fields}\r\n{body}")
}

fn succeeded(answer: Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    answer.json()
}

/// The status and the code of an error.
fn failure(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// The id of a connection of the probe.
async fn id_of(client: &mut hassock_tests::Client) -> u64 {
    client.probe(json!("attachment")).await["opened"].as_u64().expect("the probe attaches its id")
}
