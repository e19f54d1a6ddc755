//! A developer who changes a line of a large module, and tries it.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hassock_tests::marked;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{connect, to_server};
use super::{Load, Round, TEXT};
use crate::component::enlarged;
use crate::server::Server;

/// What componentize-js makes of a few lines.
const LARGE: usize = 12_000_000;

/// The build of the module is not measured: it is a copy.
const CONFIG: &str = "[apps.marked]\npath = \"/marked\"\nmodule = \"app.wasm\"\nbuild = \"cp next.wasm app.wasm\"\n";

/// How often the client asks.
const POLL: Duration = Duration::from_millis(5);

/// From the change of a source to the first answer of the new module, in seconds, under `hassock dev`.
pub struct Dev {
    server: Server,
    socket: TcpStream,
    folder: TempDir,
    changes: u32,
}

impl Dev {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("hassock.toml"), CONFIG).expect("the config");
        write(&folder, 0);
        let server = Server::dev(folder.path());
        let socket = connect(&server.address, "/marked").await;
        Self { server, socket, folder, changes: 0 }
    }

    async fn change(&mut self) -> Round {
        self.changes += 1;
        let began = Instant::now();
        write(&self.folder, self.changes);
        let expected = format!("{} who", name(self.changes));
        while self.ask().await != expected {
            assert!(self.server.is_running(), "`hassock dev` has ended");
            tokio::time::sleep(POLL).await;
        }
        Round::of(began.elapsed().as_secs_f64())
    }

    async fn ask(&mut self) -> String {
        self.socket.write_all(&to_server(TEXT, b"who")).await.expect("to ask");
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).await.expect("the answer");
        let mut answer = vec![0; usize::from(head[1])];
        self.socket.read_exact(&mut answer).await.expect("the answer");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// The module and the source from which it was made.
fn write(folder: &TempDir, change: u32) {
    fs::write(folder.path().join("next.wasm"), enlarged(&marked(&name(change)), LARGE, 0)).expect("the module");
    fs::write(folder.path().join("app.js"), name(change)).expect("the source");
}

fn name(change: u32) -> String {
    format!("change{change}")
}

impl Load for Dev {
    fn round(&mut self) -> LocalBoxFuture<'_, Round> {
        self.change().boxed_local()
    }
}
