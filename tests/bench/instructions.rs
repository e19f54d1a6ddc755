//! Instructions in user space for a message, which callgrind counts: unlike times, they are the same on a busy machine.
//!
//! ```text
//! cargo run --release -p hassock-tests --bin bench instructions [--record]
//! ```
//!
//! `instructions.toml` has the recorded figures. The command fails if one has grown by more than 3 %.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;

use crate::load::{Bursts, Published};
use crate::server::Server;

/// How much a figure may grow.
const TOLERANCE: f64 = 0.03;

/// Connections that take turns, so that each message finds the caches of the last one in use by others.
const CONNECTIONS: usize = 64;

/// Messages of a measurement, and what is sent before it.
const MESSAGES: usize = 6_400;
const WARM_UP: usize = 640;

/// Publishes of a measurement, each with a delivery to every subscriber.
const PUBLISHES: usize = 48;
const SUBSCRIBERS: usize = 200;
const BATCH: usize = 4;

/// How long the host gets to end what it does after its start or a load.
const REST: Duration = Duration::from_secs(1);

/// Count instructions for each message with callgrind.
#[derive(Args)]
pub struct Instructions {
    /// Record the figures instead of comparing them with the recorded ones.
    #[arg(long)]
    record: bool,
}

type Figures = BTreeMap<String, f64>;

impl Instructions {
    pub async fn run(&self) -> ExitCode {
        if cfg!(debug_assertions) {
            eprintln!("only the figures of a release build count: add `--release`");
            return ExitCode::FAILURE;
        }
        // Compile the modules natively, because that takes minutes under callgrind.
        drop(Server::hassock());
        let folder = tempfile::tempdir().expect("a folder");
        let host = Profiled::start(&folder);
        let figures = host.measure().await;
        if self.record {
            record(&figures);
            return ExitCode::SUCCESS;
        }
        compare(&figures)
    }
}

/// The host under callgrind.
struct Profiled {
    server: Server,
    output: PathBuf,
}

impl Profiled {
    fn start(folder: &TempDir) -> Self {
        let output = folder.path().join("callgrind");
        Self { server: Server::hassock_under_callgrind(&output), output }
    }

    async fn measure(&self) -> Figures {
        let mut figures = Figures::new();
        let mut dumps = 0;
        for (name, in_flight) in [("echo-1", 1), ("echo-16", 16)] {
            let mut load = Bursts::new(&self.server, CONNECTIONS, 64, in_flight).await;
            load.send(WARM_UP).await;
            self.count(&mut dumps).await;
            load.send(MESSAGES).await;
            figures.insert(name.to_owned(), self.count(&mut dumps).await / MESSAGES as f64);
        }
        let mut load = Published::new(&self.server, SUBSCRIBERS, BATCH).await;
        load.publish(BATCH * 2).await;
        self.count(&mut dumps).await;
        load.publish(PUBLISHES).await;
        let deliveries = (PUBLISHES * SUBSCRIBERS) as f64;
        figures.insert("fan-out".to_owned(), self.count(&mut dumps).await / deliveries);
        figures
    }

    /// The instructions since this was called last.
    async fn count(&self, dumps: &mut u32) -> f64 {
        tokio::time::sleep(REST).await;
        *dumps += 1;
        let process = self.server.process().to_string();
        let done = Command::new("callgrind_control").args(["-d", &process]).stdout(Stdio::null()).status();
        assert!(done.expect("callgrind_control").success(), "callgrind cannot be asked");
        let file = self.output.with_extension(dumps.to_string());
        let dump = fs::read_to_string(&file).expect("the figures of callgrind");
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a total");
        total.parse().expect("a number")
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/instructions.toml")
}

fn record(figures: &Figures) {
    let head = "# User-space instructions of the host for each message, or for each delivery of a published message.\n\
        # `cargo run --release -p hassock-tests --bin bench instructions --record` writes this file.\n";
    let lines = figures.iter().map(|(name, figure)| format!("{name} = {figure:.0}\n"));
    fs::write(file(), lines.fold(head.to_owned(), |text, line| text + &line)).expect("the file with the figures");
    figures.iter().for_each(|(name, figure)| println!("{name}: {figure:.0}"));
}

fn compare(figures: &Figures) -> ExitCode {
    let recorded = fs::read_to_string(file()).expect("the recorded figures");
    let recorded: Figures = toml::from_str(&recorded).expect("the recorded figures");
    println!("| case | recorded | now | change |\n|---|---|---|---|");
    let mut grown = Vec::new();
    for (name, now) in figures {
        let before = recorded.get(name).copied().expect("a recorded figure");
        let change = now / before - 1.0;
        println!("| {name} | {before:.0} | {now:.0} | {:+.1} % |", change * 100.0);
        if change > TOLERANCE {
            grown.push(name.as_str());
        }
    }
    if grown.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} has grown by more than {:.0} %", grown.join(", "), TOLERANCE * 100.0);
    ExitCode::FAILURE
}
