//! The server to compare with: what one writes with tokio-tungstenite for the same task, with care but without tricks. A
//! small read buffer, one flush for all that was read at once, and payloads that subscribers share.

use std::str::FromStr;
use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, SinkExt, StreamExt};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::load;

type Subscribers = Arc<Mutex<Vec<UnboundedSender<Message>>>>;

/// Sessions of the database, as many as those of the host.
const SESSIONS: u32 = 16;

/// What a server with a database asks it.
const QUERY: &str = "SELECT name FROM person WHERE id = ?";

#[derive(Clone)]
enum Database {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

/// Serve until the process is killed.
pub(super) async fn run(database: Option<String>) {
    let database = match database {
        Some(url) => Some(Database::connect(&url).await),
        None => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("its address"));
    let subscribers = Subscribers::default();
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        tokio::spawn(serve(socket, Arc::clone(&subscribers), database.clone()));
    }
}

impl Database {
    async fn connect(url: &str) -> Self {
        match url.starts_with("sqlite") {
            true => {
                let pool = SqlitePoolOptions::new()
                    .max_connections(SESSIONS)
                    // As the host: a session that was used a moment ago is not tested.
                    .test_before_acquire(false)
                    .connect_with(SqliteConnectOptions::from_str(url).expect("its URL").disable_statement_logging())
                    .await;
                Self::Sqlite(pool.expect("the database"))
            }
            false => {
                let pool = MySqlPoolOptions::new()
                    .max_connections(SESSIONS)
                    .test_before_acquire(false)
                    .connect_with(MySqlConnectOptions::from_str(url).expect("its URL").disable_statement_logging())
                    .await;
                Self::MySql(pool.expect("the database"))
            }
        }
    }

    async fn name(&self, id: i64) -> sqlx::Result<String> {
        match self {
            Self::Sqlite(pool) => sqlx::query_scalar(QUERY).bind(id).fetch_one(pool).await,
            Self::MySql(pool) => sqlx::query_scalar(QUERY).bind(id).fetch_one(pool).await,
        }
    }
}

async fn serve(socket: TcpStream, subscribers: Subscribers, database: Option<Database>) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    let mut target = String::new();
    #[expect(clippy::result_large_err, reason = "this is the callback's type")]
    let note_target = |request: &Request, response: Response| {
        target = request.uri().to_string();
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(socket, note_target, Some(config)).await.ok()?;
    match target.as_str() {
        load::ECHO => echo(socket).await,
        load::QUERY => query(socket, database?).await,
        load::SUBSCRIBE => {
            let (sender, receiver) = unbounded_channel();
            subscribers.lock().expect("the list").push(sender);
            subscribe(socket, receiver).await
        }
        _ => publish(socket, subscribers).await,
    }
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Option<()> {
    loop {
        let mut message = socket.next().await?.ok()?;
        loop {
            if message.is_text() || message.is_binary() {
                socket.feed(message).await.ok()?;
            }
            match socket.next().now_or_never() {
                Some(next) => message = next?.ok()?,
                None => break,
            }
        }
        socket.flush().await.ok()?;
    }
}

/// Each message is the id of a person, and is answered with the name.
async fn query(mut socket: WebSocketStream<TcpStream>, database: Database) -> Option<()> {
    loop {
        let message = socket.next().await?.ok()?;
        if let Message::Text(id) = message {
            let name = database.name(id.parse().ok()?).await.ok()?;
            socket.send(Message::text(name)).await.ok()?;
        }
    }
}

async fn subscribe(mut socket: WebSocketStream<TcpStream>, mut messages: UnboundedReceiver<Message>) -> Option<()> {
    loop {
        tokio::select! {
            message = messages.recv() => {
                socket.feed(message?).await.ok()?;
                while let Ok(message) = messages.try_recv() {
                    socket.feed(message).await.ok()?;
                }
                socket.flush().await.ok()?;
            }
            read = socket.next() => drop(read?.ok()?),
        }
    }
}

/// Each message is for all subscribers, and is answered when it was handed to them.
async fn publish(mut socket: WebSocketStream<TcpStream>, subscribers: Subscribers) -> Option<()> {
    loop {
        let message = socket.next().await?.ok()?;
        if !message.is_text() {
            continue;
        }
        let published = Message::text(load::published());
        let reached = {
            let mut subscribers = subscribers.lock().expect("the list");
            subscribers.retain(|subscriber| subscriber.send(published.clone()).is_ok());
            subscribers.len()
        };
        socket.send(Message::text(format!("{{\"ok\":{reached}}}"))).await.ok()?;
    }
}
