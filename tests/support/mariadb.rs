//! A MariaDB server of our own: in a temporary folder, on a free port, ended with this process.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Certificates, eventually, within};

/// Creates the data if there are none, starts the server, and ends it when this process ends in any way, because its
/// standard input closes then. It removes the folder too, unless it reads `keep`.
const KEEPER: &str = r#"
exec 2>>"$FOLDER/log"
mkdir -p "$FOLDER/tmp"
[ -d "$FOLDER/data" ] ||
    mariadb-install-db "$@" --auth-root-authentication-method=normal --skip-test-db >>"$FOLDER/log" || exit
mariadbd "$@" >>"$FOLDER/log" 2>&1 &
server=$!
echo $server
read -r what
kill $server
# It may be paused.
kill -CONT $server
wait $server
[ "$what" = keep ] || rm -rf "$FOLDER"
"#;

/// Creating it takes a tenth of the time of the default of 96 MiB.
const SMALL_LOG: &str = "--innodb-log-file-size=4M";

/// A running server.
pub struct MariaDb {
    keeper: Option<Child>,
    server: u32,
    port: u16,
    folder: PathBuf,
    /// With which it starts.
    options: Vec<String>,
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
        Self::start_with(Vec::new()).await
    }

    /// The same, with TLS.
    ///
    /// # Panics
    /// If there is no MariaDB on this machine, or it does not start.
    pub async fn start_with_tls(certificates: &Certificates) -> Self {
        let (certificate, key) = (certificates.certificate(), certificates.key());
        let options = [format!("--ssl-cert={}", certificate.display()), format!("--ssl-key={}", key.display())];
        Self::start_with(options.into()).await
    }

    async fn start_with(options: Vec<String>) -> Self {
        // The keeper removes it, because no code of ours runs when a process with a shared server ends.
        let folder =
            tempfile::tempdir().map(TempDir::keep).unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let mut server = Self { keeper: None, server: 0, port: free_port(), folder, options };
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
        format!("mysql://root@{}/{database}", self.address())
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kill the server as a crash would.
    pub fn kill(&mut self) {
        signal(self.server, "KILL");
        self.end_keeper("keep\n");
    }

    /// Stop the server as an operator would.
    pub fn stop(&mut self) {
        self.end_keeper("keep\n");
    }

    /// Let the server do nothing, and keep its connections: a machine that is overloaded.
    pub fn pause(&self) {
        signal(self.server, "STOP");
    }

    /// Let a server that is paused go on.
    pub fn resume(&self) {
        signal(self.server, "CONT");
    }

    /// Start the server, again with the same data on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", "--no-defaults", "--bind-address=127.0.0.1", "--skip-log-bin"])
            .args(["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M"])
            .arg(format!("--datadir={}", self.folder.join("data").display()))
            .arg(format!("--socket={}", self.folder.join("socket").display()))
            // A server that starts deletes the temporary tables of all servers that share the folder.
            .arg(format!("--tmpdir={}", self.folder.join("tmp").display()))
            .arg(format!("--port={}", self.port))
            .args(user())
            .args(&self.options)
            .arg(SMALL_LOG)
            .env("FOLDER", &self.folder)
            // Its own group: a signal to this process's group, such as Ctrl-C, must not end the keeper first.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start MariaDB: {error}"));
        self.server = first_line(&mut keeper)
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("MariaDB does not start; `tests/run` installs mariadb-server: {}", self.log()));
        self.keeper = Some(keeper);
        let url = self.url("");
        eventually("MariaDB to answer", || async {
            assert!(is_running(self.server), "MariaDB ended: {}", self.log());
            MySqlConnection::connect(&url).await.is_ok()
        })
        .await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_else(|error| error.to_string())
    }

    fn end_keeper(&mut self, what: &str) {
        if let Some(mut keeper) = self.keeper.take() {
            let told = keeper.stdin.take().map(|mut input| input.write_all(what.as_bytes()));
            assert!(told.is_some_and(|told| told.is_ok()), "MariaDB's keeper is gone");
            // How it ended does not matter, only that it did.
            let _ = keeper.wait();
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if self.keeper.is_none() {
            // It was killed, and not started again.
            let _ = std::fs::remove_dir_all(&self.folder);
        } else {
            // The keeper waits for it.
            self.resume();
        }
        self.end_keeper("remove\n");
    }
}

fn first_line(keeper: &mut Child) -> String {
    use std::io::{BufRead, BufReader};
    let mut line = String::new();
    if let Some(output) = keeper.stdout.take() {
        let read = BufReader::new(output).read_line(&mut line);
        assert!(read.is_ok(), "cannot read from MariaDB's keeper");
    }
    line
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot signal {process}");
}

fn is_running(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).join("exe").exists()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).unwrap_or_else(|error| panic!("no free port: {error}"))
}

/// MariaDB runs as root only with an option.
fn user() -> Vec<String> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    if root { vec!["--user=root".to_owned()] } else { Vec::new() }
}
