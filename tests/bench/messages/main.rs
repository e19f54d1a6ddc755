//! What do a message, a delivery and a connection cost? The host beside a bare tokio-tungstenite server that does the
//! same without a module, in one run:
//!
//! ```text
//! cargo run --release -p hassock-tests --bin bench [CASE …] [--rounds N] [--json FILE]
//! ```
//!
//! Each server is a process of its own on one core, and the load is on another one. The servers take turns in short
//! rounds, because a shared machine's speed changes; a ratio is one of neighbouring rounds. Every byte that comes back is
//! compared with what was sent.

#![recursion_limit = "256"]

mod bare;
mod case;
mod client;
mod cores;
mod load;
mod report;
mod server;

use std::path::PathBuf;

use case::Case;
use clap::Parser;
use report::Report;
use server::{Kind, Server};
use tokio::runtime::Runtime;

/// Compare the host with a bare tokio-tungstenite server.
#[derive(Parser)]
struct Arguments {
    /// The cases to run. Without any, all of them.
    cases: Vec<Case>,
    /// Rounds of each server for each case.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be one of the servers.
    #[arg(long, hide = true)]
    serve: Option<Kind>,
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.serve {
        Some(kind) => runtime().block_on(server::run(kind)),
        None => {
            cores::stay_on(cores::LOAD);
            runtime().block_on(compare(&arguments));
        }
    }
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

async fn compare(arguments: &Arguments) {
    let cases = if arguments.cases.is_empty() { &Case::ALL[..] } else { &arguments.cases[..] };
    let mut report = Report::default();
    report.print_head();
    for case in cases {
        let (bare, hassock) = (Server::start(Kind::Bare), Server::start(Kind::Hassock));
        let (mut bare, mut hassock) = (case.load(bare).await, case.load(hassock).await);
        // The first round of each is to warm up.
        bare.round().await;
        hassock.round().await;
        let mut pairs = Vec::new();
        for _ in 0..case.rounds(arguments.rounds) {
            pairs.push((bare.round().await, hassock.round().await));
        }
        report.add(*case, &pairs);
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.json()).expect("the file for the figures");
    }
}
