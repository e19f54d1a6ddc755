//! A host in a process of its own: for tests that measure what a process uses. All tests together use this process.

use std::env;
use std::fs;
use std::process::Stdio;

use hassock::deploy::{AppReport, Rollout};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin, stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{TestHost, app, marked, within};

/// Tells the process that it is to be the host, and with which config.
const VARIABLE: &str = "HASSOCK_SEPARATE_HOST";

/// What is written to the host: a mark to deploy. An empty line asks for a report.
const REPORT: &str = "";

/// Begins each answer of the host, among the lines of the test program.
const ANSWER: char = '@';

/// A host that serves the module `marked` at `/marked`. It is killed when this is dropped.
pub struct SeparateHost {
    /// `127.0.0.1:PORT`
    pub address: String,
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _folder: TempDir,
}

/// What a process uses of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// KiB of memory.
    pub resident: usize,
    /// Open files and sockets.
    pub files: usize,
    /// Memory areas with compiled modules.
    pub code: usize,
}

impl SeparateHost {
    /// Start this test program once more, with the test `name` alone, which has to begin with
    /// [`is_this_process`](Self::is_this_process). So it needs no extra test that would do nothing when all tests run.
    /// `keys` are added to the app's part of the config.
    ///
    /// # Panics
    /// If it does not serve.
    pub async fn start(name: &str, mark: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let module = folder.path().join("marked.wasm");
        fs::write(&module, marked(mark)).unwrap_or_else(|error| panic!("no module: {error}"));
        let mut command = Command::new(env::current_exe().unwrap_or_default());
        command.args(["--exact", name, "--nocapture"]).env(VARIABLE, app("marked", &module) + keys);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            panic!("it has no pipes")
        };
        let answers = BufReader::new(answers).lines();
        let mut host = Self { address: String::new(), process, orders, answers, _folder: folder };
        host.address = host.answer().await;
        host
    }

    /// In the process that [`start`](Self::start) has started: be the host until there are no more orders, and
    /// return true. In any other: false.
    ///
    /// # Panics
    /// If an order fails; then the other process gets no answer.
    pub async fn is_this_process() -> bool {
        let Ok(config) = env::var(VARIABLE) else { return false };
        let host = TestHost::start(&config).await;
        answer(&host.address());
        let mut orders: Lines<BufReader<Stdin>> = BufReader::new(stdin()).lines();
        while let Ok(Some(order)) = orders.next_line().await {
            match order.as_str() {
                REPORT => answer(&serde_json::to_string(&host.report("marked")).unwrap_or_default()),
                mark => match host.host.control().deploy("marked", marked(mark), Rollout::Full).await {
                    Ok(outcome) => answer(&outcome.version),
                    Err(error) => panic!("{mark} is refused: {error}"),
                },
            }
        }
        assert_eq!(host.drain().await, 0, "connections were left");
        true
    }

    /// Deploy `marked` with another mark, and return the name of the version when it serves.
    pub async fn deploy(&mut self, mark: &str) -> String {
        self.order(mark).await
    }

    /// The app and its versions.
    ///
    /// # Panics
    /// If the answer is not a report.
    pub async fn report(&mut self) -> AppReport {
        let report = self.order(REPORT).await;
        serde_json::from_str(&report).unwrap_or_else(|error| panic!("no report: {report}: {error}"))
    }

    /// What it uses of the system now.
    ///
    /// # Panics
    /// If it is gone.
    pub fn usage(&self) -> Usage {
        let files = fs::read_dir(self.of_the_process("fd")).map(Iterator::count);
        // Executable memory without a file. The program itself and its libraries have one.
        let is_code = |line: &&str| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|rights| rights.contains('x')) && fields.nth(3).is_none()
        };
        Usage {
            resident: self.memory("VmRSS:"),
            files: files.unwrap_or_else(|error| panic!("no files: {error}")),
            code: self.read("maps").lines().filter(is_code).count(),
        }
    }

    /// The most KiB of memory that it has used so far.
    ///
    /// # Panics
    /// If it is gone.
    pub fn most_resident(&self) -> usize {
        self.memory("VmHWM:")
    }

    /// Drain the host and end it.
    ///
    /// # Panics
    /// If it does not succeed.
    pub async fn end(self) {
        let Self { mut process, orders, .. } = self;
        drop(orders);
        let ended = within("the end of the host", process.wait()).await;
        assert!(ended.is_ok_and(|status| status.success()), "the host did not succeed");
    }

    /// A line about memory in its status, in KiB.
    fn memory(&self, line: &str) -> usize {
        let status = self.read("status");
        let bytes = status.lines().find_map(|found| found.strip_prefix(line));
        let bytes = bytes.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        bytes.unwrap_or_else(|| panic!("no {line} in {status}"))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.of_the_process(file)).unwrap_or_else(|error| panic!("no {file}: {error}"))
    }

    /// The path of what the system says about the process.
    fn of_the_process(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.id().unwrap_or_default())
    }

    async fn order(&mut self, order: &str) -> String {
        let given = self.orders.write_all(format!("{order}\n").as_bytes()).await;
        given.unwrap_or_else(|error| panic!("the host takes no orders: {error}"));
        self.answer().await
    }

    async fn answer(&mut self) -> String {
        loop {
            match within("an answer of the host", self.answers.next_line()).await {
                Ok(Some(line)) if line.starts_with(ANSWER) => return line[ANSWER.len_utf8()..].to_owned(),
                Ok(Some(_)) => {}
                end => panic!("the host has ended, or the test is called otherwise: {end:?}"),
            }
        }
    }
}

/// A new line, because the test program may be in the middle of one.
fn answer(text: &str) {
    println!("\n{ANSWER}{text}");
}
