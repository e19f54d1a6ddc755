//! How the cost grows with the number of connections, subscribers, apps and topics, and with the size of a module.

use clap::{Args, ValueEnum};
use hassock_tests::{app, app_with_database, example, guest};
use tempfile::TempDir;

use crate::component::enlarged;
use crate::load::{Echo, FanOut, Load, Measured, Restart, ToOneOf};
use crate::server::{Cores, Server};

/// Rounds for each figure.
const ROUNDS: usize = 3;

/// Room for everything that grows here.
const LIMITS: &str = "[limits]\nmax_connections = 20000\nconnections_per_address = 20000\n";

/// Measure how the cost grows with the size of what the host serves.
#[derive(Args)]
pub struct Growth {
    /// The tables to print. Without any, all of them.
    tables: Vec<Table>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Table {
    /// Connections that all send.
    Connections,
    /// Subscribers of one topic.
    Subscribers,
    /// Apps with the same module.
    Apps,
    /// The size of a module, of which the calls use a small part.
    Modules,
    /// Topics with one subscriber each.
    Topics,
}

impl Growth {
    pub async fn measure(&self) {
        let tables = if self.tables.is_empty() { Table::value_variants() } else { &self.tables[..] };
        for table in tables {
            match table {
                Table::Connections => connections().await,
                Table::Subscribers => subscribers().await,
                Table::Apps => apps().await,
                Table::Modules => modules().await,
                Table::Topics => topics().await,
            }
        }
    }
}

async fn connections() {
    head(&["connections", "µs of CPU/message", "KiB/connection"]);
    for count in [100, 1_000, 10_000] {
        let server = Server::hassock();
        let before = server.memory();
        let mut load = Echo::new(server, count, 64, 1, Measured::Cpu).await;
        let cpu = median(&mut load).await;
        let memory = load.server().memory().saturating_sub(before) as f64 / 1024.0 / count as f64;
        row(&[count.to_string(), format!("{cpu:.2}"), format!("{memory:.1}")]);
    }
}

async fn subscribers() {
    head(&["subscribers", "µs of CPU/delivery"]);
    for count in [10, 100, 1_000, 5_000] {
        let mut load = FanOut::new(Server::hassock(), count).await;
        let cpu = median_cpu(&mut load).await;
        row(&[count.to_string(), format!("{cpu:.2}")]);
    }
}

async fn apps() {
    head(&["apps", "start in ms", "MiB", "µs of CPU/message"]);
    for count in [1, 10, 100] {
        // Few instances each, because their sum is bounded.
        let small = |name: &str| app(name, &example("echo")) + &format!("[apps.{name}.limits]\ninstances = 4\n");
        let apps: String = (1..count).map(|number| small(&format!("app{number}"))).collect();
        let config = format!("{LIMITS}{}{apps}", small("echo"));
        started(&count.to_string(), config).await;
    }
}

async fn modules() {
    head(&["MB of module", "start in ms", "MiB", "µs of CPU/message"]);
    let folder = tempfile::tempdir().expect("a folder");
    for size in [0, 1_000_000, 4_000_000, 12_000_000] {
        let (file, bytes) = large(&folder, size);
        started(&format!("{:.2}", bytes as f64 / 1e6), LIMITS.to_owned() + &app("echo", &file)).await;
    }
}

/// The echo example with so many bytes more.
fn large(folder: &TempDir, more: usize) -> (std::path::PathBuf, usize) {
    let echo = std::fs::read(example("echo")).expect("the example");
    let module = if more == 0 { echo } else { enlarged(&echo, more, 0) };
    let file = folder.path().join(format!("{more}.wasm"));
    std::fs::write(&file, &module).expect("the module");
    (file, module.len())
}

/// A row about a host with the app `echo`.
async fn started(first: &str, config: String) {
    let start = median(&mut Restart::of(config.clone())).await;
    let server = Server::hassock_with(&config, Cores::SERVER, &[]);
    let memory = server.memory() as f64 / f64::from(1 << 20);
    let cpu = median(&mut Echo::new(server, 32, 64, 1, Measured::Cpu).await).await;
    row(&[first.to_owned(), format!("{start:.1}"), format!("{memory:.1}"), format!("{cpu:.2}")]);
}

async fn topics() {
    head(&["topics", "µs of CPU/subscription", "bytes/subscription", "µs of CPU/publish"]);
    for count in [10, 100, 1_000, 10_000, 100_000] {
        let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
        let limits = "[apps.probe.limits]\ntopics_per_connection = 1000\n";
        let server = Server::hassock_with(&format!("{LIMITS}{probe}{limits}"), Cores::SERVER, &[]);
        let (cpu, memory) = (server.cpu(), server.memory());
        let mut load = ToOneOf::new(server, count).await;
        let cpu = (load.server().cpu() - cpu).as_secs_f64() * 1e6 / count as f64;
        let memory = load.server().memory().saturating_sub(memory) / count as u64;
        let publish = median_cpu(&mut load).await;
        row(&[count.to_string(), format!("{cpu:.1}"), memory.to_string(), format!("{publish:.2}")]);
    }
}

/// The median of some rounds, after one to warm up.
async fn median(load: &mut impl Load) -> f64 {
    rounds(load, |round| round.value).await
}

async fn median_cpu(load: &mut impl Load) -> f64 {
    rounds(load, |round| round.cpu.expect("its CPU time")).await
}

async fn rounds(load: &mut impl Load, figure: impl Fn(crate::load::Round) -> f64) -> f64 {
    load.round().await;
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        figures.push(figure(load.round().await));
    }
    figures.sort_by(f64::total_cmp);
    figures[ROUNDS / 2]
}

fn head(names: &[&str]) {
    println!("\n| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()));
}

fn row(figures: &[String]) {
    println!("| {} |", figures.join(" | "));
}
