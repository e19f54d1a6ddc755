//! A MariaDB server of our own: in a temporary folder, on a free port, ended with this process.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{eventually, within};

/// Ends the server when the test process is gone, however it went: its standard input closes then.
const KEEPER: &str =
    r#"mariadbd "$@" >"$LOG" 2>&1 & server=$!; echo $server; cat >/dev/null; kill $server; wait $server"#;

/// A running server.
pub struct MariaDb {
    keeper: Option<Child>,
    server: u32,
    port: u16,
    folder: TempDir,
}

impl MariaDb {
    /// The server that all tests of this process share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<MariaDb> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// A server for one test, which may kill it.
    ///
    /// # Panics
    /// If there is no MariaDB on this machine, or it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let install = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            .args(user())
            .output()
            .unwrap_or_else(|error| panic!("mariadb-install-db: {error}; `tests/run` installs mariadb-server"));
        assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
        let mut server = Self { keeper: None, server: 0, port: free_port(), folder };
        server.restart().await;
        server
    }

    /// A URL for the config, to a fresh database.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut root = within("a connection as root", MySqlConnection::connect(&self.url("")))
            .await
            .unwrap_or_else(|error| panic!("no connection to MariaDB: {error}"));
        root.execute(AssertSqlSafe(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")))
            .await
            .unwrap_or_else(|error| panic!("no database: {error}"));
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Kill the server as a crash would.
    pub fn kill(&mut self) {
        signal(self.server, "KILL");
        self.end_keeper();
    }

    /// Start the server, again with the same data on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", "--no-defaults", "--bind-address=127.0.0.1", "--skip-log-bin"])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"])
            .arg(format!("--datadir={}", self.folder.path().join("data").display()))
            .arg(format!("--socket={}", self.folder.path().join("socket").display()))
            .arg(format!("--port={}", self.port))
            .args(user())
            .env("LOG", self.folder.path().join("log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start MariaDB: {error}"));
        self.server = first_line(&mut keeper).trim().parse().unwrap_or_else(|error| panic!("no pid: {error}"));
        self.keeper = Some(keeper);
        let url = self.url("");
        eventually("MariaDB to answer", || async { MySqlConnection::connect(&url).await.is_ok() }).await;
    }

    fn end_keeper(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            // How it ended does not matter, only that it did.
            let _ = keeper.wait();
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.end_keeper();
    }
}

fn first_line(keeper: &mut Child) -> String {
    use std::io::{BufRead, BufReader};
    let mut line = String::new();
    if let Some(output) = keeper.stdout.take() {
        let read = BufReader::new(output).read_line(&mut line);
        assert!(read.is_ok(), "MariaDB's keeper says nothing");
    }
    line
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot signal {process}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).unwrap_or_else(|error| panic!("no free port: {error}"))
}

/// MariaDB runs as root only if told so.
fn user() -> Vec<String> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    if root { vec!["--user=root".to_owned()] } else { Vec::new() }
}
