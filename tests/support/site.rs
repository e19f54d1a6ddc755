//! `hassock serve` in a folder of its own, as an operator runs it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Finished, Process, eventually, hassock};

/// Begins every config: any free port, and a log that has everything.
const HEAD: &str = "listen = \"127.0.0.1:0\"\nlog = { level = \"debug\", format = \"json\" }\n";

/// A folder with a config and the files that it names.
pub struct Site {
    folder: TempDir,
}

/// The host that serves it.
pub struct Daemon {
    /// The program.
    pub process: Process,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Site {
    /// A folder with a config; `listen` and `log` are added.
    ///
    /// # Panics
    /// If there is no folder for it.
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let site = Self { folder };
        site.configure(config);
        site
    }

    /// Another config.
    pub fn configure(&self, config: &str) {
        self.put("hassock.toml", format!("{HEAD}{config}"));
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Write a file, over what it held before.
    ///
    /// # Panics
    /// If it is not written.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.file(name), content).unwrap_or_else(|error| panic!("{name} is not written: {error}"));
    }

    /// Run `hassock` here to its end; `arguments` are separated by spaces.
    pub async fn run(&self, arguments: &str) -> Finished {
        hassock(self.folder(), arguments.split(' ')).await
    }

    /// Serve it.
    ///
    /// # Panics
    /// If it does not serve.
    pub async fn serve(&self) -> Daemon {
        let process = Process::hassock(self.folder(), ["serve"]);
        let address = process.line("Starting server on ").await;
        Daemon { process, address }
    }
}

impl Daemon {
    /// A WebSocket to a path.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(&self, path: &str) -> Client {
        Client::connect(&self.address, path).await
    }

    /// The lines of the log with `text` in the message.
    fn logged(&self, text: &str) -> Vec<Value> {
        lines(&self.process.stderr(), text)
    }

    /// Wait for `count` of them, and return all that there are then.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn logs(&self, text: &str, count: usize) -> Vec<Value> {
        self.process.until(text, || self.logged(text).len() >= count).await;
        self.logged(text)
    }

    /// Stop it, and return its log.
    ///
    /// # Panics
    /// If it does not stop, or fails.
    pub async fn stop(self) -> String {
        self.process.signal("TERM");
        let finished = self.process.ends().await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stderr
    }
}

/// The lines of a log in JSON with `text` in the message.
pub fn lines(log: &str, text: &str) -> Vec<Value> {
    let is_about = |line: &Value| line["message"].as_str().is_some_and(|message| message.contains(text));
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(is_about).collect()
}

impl Client {
    /// Ask again and again until the answer begins with a word.
    ///
    /// # Panics
    /// If it never does.
    pub async fn ask_until(&mut self, word: &str) {
        let client = tokio::sync::Mutex::new(self);
        let answers = || async { client.lock().await.ask("who").await.split(' ').next() == Some(word) };
        eventually(&format!("an answer of {word}"), answers).await;
    }
}
