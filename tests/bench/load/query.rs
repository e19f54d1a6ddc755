//! A client that asks for one row, and waits for it.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hassock_tests::{app, guest};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{connect, expect, from_server, to_server};
use super::{Load, QUERY, ROUND, Round, TEXT, rate};
use crate::server::Server;

/// How many rows the table has.
const PEOPLE: i64 = 1000;

pub struct Queries {
    server: Server,
    socket: TcpStream,
    next: i64,
}

impl Queries {
    pub async fn new(server: Server) -> Self {
        let socket = connect(&server.address, QUERY).await;
        Self { server, socket, next: 0 }
    }

    /// The config of a host that answers them.
    pub fn config(database: &str) -> String {
        let grant = "databases = { main = \"read-only\" }\n";
        format!("[databases.main]\nurl = \"{database}\"\n{}{grant}", app("query", &guest("query")))
    }

    /// The statements that make the table.
    pub fn tables() -> [String; 2] {
        let rows: Vec<String> = (0..PEOPLE).map(|id| format!("({id}, '{}')", name(id))).collect();
        [
            "CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(64) NOT NULL)".to_owned(),
            format!("INSERT INTO person (id, name) VALUES {}", rows.join(", ")),
        ]
    }

    /// Returns the number of answers.
    async fn ask(socket: &mut TcpStream, next: &mut i64) -> usize {
        let (end, mut buffer, mut count) = (Instant::now() + ROUND, Vec::new(), 0);
        while Instant::now() < end {
            let id = *next % PEOPLE;
            socket.write_all(&to_server(TEXT, id.to_string().as_bytes())).await.expect("to ask");
            expect(socket, &from_server(TEXT, name(id).as_bytes()), &mut buffer).await;
            // So that no row is asked for twice in a row.
            (*next, count) = (*next + 7, count + 1);
        }
        count
    }
}

impl Load for Queries {
    /// Microseconds for a query.
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        async {
            let round = rate(&self.server, Self::ask(&mut self.socket, &mut self.next)).await;
            Round { value: 1e6 / round.value, ..round }
        }
        .boxed_local()
    }
}

fn name(id: i64) -> String {
    format!("person number {id}")
}
