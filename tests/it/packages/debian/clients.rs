//! Clients of the second machine, whose network the test shares, and what its database says about them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use hassock_tests::{Authority, TlsClient, within};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};
use tokio::net::TcpSocket;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The name of the machine, as in the book.
pub(super) const NAME: &str = "chat.example.org";

const ADDRESS: &str = "127.0.0.1:443";

pub(super) async fn open(authority: &Authority, path: &str) -> TlsClient {
    authority.open(ADDRESS, NAME, path).await
}

/// The same when it may be refused.
pub(super) async fn try_open(authority: &Authority, path: &str) -> Option<TlsClient> {
    let stream = authority.stream(ADDRESS, NAME, rustls::ALL_VERSIONS).await.ok()?;
    let opened = within("the handshake", client_async(format!("wss://{NAME}{path}"), stream)).await;
    opened.ok().map(|(client, _)| client)
}

/// What the module sees of a client at `source` that says it were at `claim`.
pub(super) async fn described(authority: &Authority, source: &str, claim: &str) -> Value {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(ADDRESS.parse().unwrap()).await.unwrap();
    let name = NAME.try_into().unwrap();
    let stream = authority.connector(rustls::ALL_VERSIONS).connect(name, stream).await.unwrap();
    let mut request = format!("wss://{NAME}/probe?open=describe").into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", claim.parse().unwrap());
    let (mut client, _) = within("the handshake", client_async(request, stream)).await.unwrap();
    serde_json::from_str(&text(&mut client).await).unwrap()
}

pub(super) async fn send(client: &mut TlsClient, text: &str) {
    client.send(Message::text(text)).await.unwrap();
}

/// Wait for a message that contains this.
pub(super) async fn hears(client: &mut TlsClient, part: &str) {
    while !text(client).await.contains(part) {}
}

async fn text(client: &mut TlsClient) -> String {
    loop {
        match within("a message", client.next()).await {
            Some(Ok(Message::Text(text))) => return text.to_string(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("no message but {other:?}"),
        }
    }
}

/// The code with which a connection ends; 1006 without a close frame.
pub(super) async fn closed(mut client: TlsClient) -> u16 {
    let mut code = 1006;
    while let Some(Ok(message)) = within("the end of the connection", client.next()).await {
        if let Message::Close(frame) = message {
            code = frame.map_or(1005, |frame| frame.code.into());
        }
    }
    code
}

/// How often each connection was opened and closed. A number is used again by the next process.
pub(super) struct Ends(BTreeMap<i64, (usize, usize)>);

impl Ends {
    pub(super) async fn read(database: &Path) -> Self {
        let mut session = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        let rows = sqlx::query("SELECT connection, kind FROM event").fetch_all(&mut session).await.unwrap();
        let mut ends: BTreeMap<_, (usize, usize)> = BTreeMap::new();
        for row in rows {
            let counts = ends.entry(row.get(0)).or_default();
            match row.get::<&str, _>(1) {
                "open" => counts.0 += 1,
                "closed" => counts.1 += 1,
                other => panic!("an event of the kind {other}"),
            }
        }
        Self(ends)
    }

    pub(super) fn opened(&self) -> usize {
        self.0.values().map(|(opened, _)| opened).sum()
    }

    pub(super) fn are_complete(&self) {
        let incomplete: Vec<_> = self.0.iter().filter(|(_, (opened, closed))| opened != closed).collect();
        assert!(incomplete.is_empty(), "connections with other numbers of `open` and `closed`: {incomplete:?}");
    }
}
