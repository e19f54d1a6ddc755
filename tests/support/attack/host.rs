//! The host that is attacked: `hassock serve`, in a process of its own.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use hassock::deploy::AppReport;
use tempfile::TempDir;

use crate::{Operator, Process, TestDatabase, app, cache, example, growing_tables};

/// A host with an app that works well and one that misbehaves.
pub struct AttackedHost {
    /// `127.0.0.1:PORT`
    pub address: String,
    /// A client of its admin listener.
    pub operator: Operator,
    process: Process,
    folder: TempDir,
    _database: TestDatabase,
}

impl AttackedHost {
    /// The path of the app that works well: it echoes.
    pub const ECHO: &str = "/echo";

    /// The path of the app that misbehaves.
    pub const FAULTS: &str = "/faults";

    /// Instances of the app that misbehaves: more than the cores of most machines that run tests.
    pub const INSTANCES: usize = 8;

    /// Start it. `command` is `hassock`, perhaps with the words of a command before it that runs it, such as `nice`.
    ///
    /// # Panics
    /// If it does not serve.
    pub async fn start(command: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let database = TestDatabase::sqlite();
        database.execute("CREATE TABLE leak (n BIGINT)").await;
        write(&folder.path().join("faults.wasm"), growing_tables("faults"));
        write(&folder.path().join("hassock.toml"), config(&folder.path().join("faults.wasm"), &database));
        let log = File::create(folder.path().join("log")).unwrap_or_else(|error| panic!("no log: {error}"));
        let [program, words @ ..] = command else { panic!("no program to start") };
        let mut command = Command::new(program);
        command.args(words).arg("serve").current_dir(folder.path()).env("CACHE_DIRECTORY", cache());
        let process = Process::start_as_is({
            command.stdout(Stdio::piped()).stderr(log);
            command
        });
        let Some(address) = process.line_if_any("Starting server on ").await else {
            panic!("the host does not start:\n{}", read(&folder.path().join("log")))
        };
        let admin = format!("unix:{}", folder.path().join("admin.sock").display());
        let operator = Operator::at(&admin, &folder.path().join("hassock.token"));
        Self { address, operator, process, folder, _database: database }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How many calls of the app that misbehaves the host has ended so far.
    ///
    /// # Panics
    /// If it does not say.
    pub async fn failures(&self) -> u64 {
        let apps = self.operator.ask("GET /v1/apps").await.json();
        let apps: Vec<AppReport> = serde_json::from_value(apps).unwrap_or_else(|error| panic!("no reports: {error}"));
        let faults = apps.iter().filter(|app| app.app == "faults");
        faults.flat_map(|app| &app.versions).map(|version| version.failures).sum()
    }

    /// Stop it, and check that it has served to its end without a panic.
    ///
    /// # Panics
    /// If it has not.
    pub async fn stop(self) {
        self.process.signal("TERM");
        let finished = self.process.ends().await;
        let log = read(&self.folder.path().join("log"));
        // All that the host and its modules say is JSON. A panic of the host is not.
        let strange: Vec<_> = log.lines().filter(|line| !line.starts_with('{')).collect();
        assert!(strange.is_empty(), "{}", strange.join("\n"));
        assert_eq!(finished.code, Some(0), "{:?}", log.lines().rev().take(5).collect::<Vec<_>>());
    }
}

/// Times are short, so that an attacker feels the end of them soon.
fn config(faults: &Path, database: &TestDatabase) -> String {
    let (echo, faults, instances) = (app("echo", &example("echo")), app("faults", faults), AttackedHost::INSTANCES);
    let database = database.config("query_timeout = \"300ms\"\nmax_connections = 4\nacquire_timeout = \"60s\"");
    format!(
        "listen = \"127.0.0.1:0\"\nlog = {{ format = \"json\" }}\n[limits]\nhandshake_timeout = \"1s\"\n\
         [admin]\nlisten = \"unix:admin.sock\"\n{database}{echo}[apps.echo.limits]\nwrite_timeout = \"500ms\"\n\
         [apps.echo.compression]\nenabled = true\n\
         {faults}databases.main = \"read-write\"\n[apps.faults.limits]\ncpu_time = \"500ms\"\ncall_timeout = \"1s\"\n\
         instances = {instances}\ninstance_wait = \"60s\"\n"
    )
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{} is not written: {error}", path.display()));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{} is not read: {error}", path.display()))
}
