//! What do a message, a delivery, a connection, a query and a deploy cost? The host beside something else in one run:
//!
//! ```text
//! cargo run --release -p hassock-tests --bin bench [CASE …] [--rounds N] [--json FILE]
//! cargo run --release -p hassock-tests --bin bench -- --against COMMAND URL
//! cargo run --release -p hassock-tests --bin bench growth [TABLE …]
//! cargo run --release -p hassock-tests --bin bench polling
//! cargo run --release -p hassock-tests --bin bench fronts [--rounds N]
//! cargo run --release -p hassock-tests --bin bench compression
//! cargo run --release -p hassock-tests --bin bench histories [--rounds N]
//! cargo run --release -p hassock-tests --bin bench instructions [--record]
//! cargo run --release -p hassock-tests --bin bench chaos [--seed N]
//! cargo run --release -p hassock-tests --bin bench interruptions [nothing|swaps|restarts …] [--resume]
//! cargo run --release -p hassock-tests --bin bench contained [ATTACK …] [--rounds N]
//! cargo run --release -p hassock-tests --bin bench outbox [--rows N] [--kills N] [--seed N]
//! cargo run --release -p hassock-tests --bin bench soak MINUTES
//! ```
//!
//! Most cases compare the host with a bare tokio-tungstenite server that does the same without a module. Each server is a
//! process of its own on one core, and the load is on another one. The servers take turns in short rounds, because a
//! shared machine's speed changes; a ratio is one of neighbouring rounds. Every byte that comes back is compared with what
//! was sent.

#![recursion_limit = "256"]

mod case;
mod chaos;
mod component;
mod compression;
mod contained;
mod contest;
mod fronts;
mod growth;
mod histories;
mod instructions;
mod interruptions;
mod load;
mod outbox;
mod polling;
mod report;
mod server;
mod soak;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use case::Case;
use chaos::Chaos;
use clap::{Args, Parser, Subcommand, ValueEnum};
use compression::Compression;
use contained::{Attacking, Contained};
use fronts::Fronts;
use growth::Growth;
use hassock::cli::Cli;
use histories::Histories;
use instructions::Instructions;
use interruptions::Interruptions;
use outbox::OutboxBench;
use polling::Polling;
use report::Report;
use server::{Cores, PROGRAM, Serve, Server};
use soak::Soak;
use tokio::runtime::Runtime;

/// Measure the host beside a bare tokio-tungstenite server.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    cases: Cases,
    #[command(flatten)]
    serve: Serve,
    /// Compute until the process is killed.
    #[arg(long, hide = true)]
    count: bool,
}

/// What else can be measured.
#[derive(Subcommand)]
enum Other {
    Growth(Growth),
    Polling(Polling),
    Fronts(Fronts),
    Compression(Compression),
    Histories(Histories),
    Instructions(Instructions),
    Chaos(Chaos),
    Interruptions(Interruptions),
    Contained(Contained),
    #[command(hide = true)]
    Attacking(Attacking),
    Outbox(OutboxBench),
    Soak(Soak),
}

#[derive(Args)]
struct Cases {
    /// The cases to run. Without any, all of them.
    cases: Vec<Case>,
    /// Rounds of each server for each case.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with another server: a command that starts it, and the URL, such as ws://127.0.0.1:9000/, at which it
    /// echoes.
    #[arg(long, num_args = 2, value_names = ["COMMAND", "URL"])]
    against: Option<Vec<String>>,
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(PROGRAM) {
        return Cli::parse_from(env::args_os().skip(1)).run();
    }
    let arguments = Arguments::parse();
    if arguments.count {
        count();
    }
    if arguments.serve.is_asked_for() {
        arguments.serve.runtime().block_on(arguments.serve.run());
        return ExitCode::SUCCESS;
    }
    // Chaos and interruptions are not measured beside something else, and writers and the database of an outbox need the other
    // cores.
    let needs_all_cores = matches!(arguments.other, Some(Other::Chaos(_) | Other::Interruptions(_) | Other::Outbox(_)));
    if !needs_all_cores {
        Cores::LOAD.stay_here();
    }
    runtime().block_on(async {
        match &arguments.other {
            None => arguments.cases.measure().await,
            Some(Other::Growth(growth)) => growth.measure().await,
            Some(Other::Polling(polling)) => polling.measure().await,
            Some(Other::Fronts(fronts)) => fronts.measure().await,
            Some(Other::Compression(compression)) => compression.measure().await,
            Some(Other::Histories(histories)) => histories.measure().await,
            Some(Other::Instructions(instructions)) => return instructions.run().await,
            Some(Other::Chaos(chaos)) => chaos.run().await,
            Some(Other::Interruptions(interruptions)) => interruptions.run().await,
            Some(Other::Contained(contained)) => contained.measure().await,
            Some(Other::Attacking(attacking)) => attacking.run().await,
            Some(Other::Outbox(outbox)) => return outbox.run().await,
            Some(Other::Soak(soak)) => return soak.run().await,
        }
        ExitCode::SUCCESS
    })
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

impl Cases {
    async fn measure(&self) {
        let start = self.against.as_deref().map(|against| || Server::other(&against[0], &against[1]));
        let other = start.as_ref().map(|start| start as &dyn Fn() -> Server);
        let known: &[Case] = if other.is_some() { &Case::AGAINST } else { Case::value_variants() };
        let cases = if self.cases.is_empty() { known } else { &self.cases[..] };
        let mut report = Report::default();
        report.print_head();
        for case in cases {
            assert!(known.contains(case), "--against cannot measure {}", case.name());
            let turns = case.contest(other).await.turns(case.rounds(self.rounds)).await;
            report.add(*case, other.map(|_| "the other"), &turns);
        }
        if let Some(file) = &self.json {
            std::fs::write(file, report.json()).expect("the file for the figures");
        }
    }
}

fn count() -> ! {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}
