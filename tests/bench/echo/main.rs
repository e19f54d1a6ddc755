//! What does the module cost? Server CPU per message of an echo through a module, against a bare
//! tokio-tungstenite echo, in one run: `cargo run --release -p hassock-tests --bin bench-echo`.
//!
//! Both servers are processes of their own, so that their CPU time (`/proc/PID/stat`) is only theirs. They take turns
//! in short rounds, because a shared machine's speed changes; the result is the median of the ratios of neighbouring
//! rounds.

#![recursion_limit = "256"]

mod load;
mod server;

use std::env;
use std::time::Duration;

use load::{CONNECTIONS, Load, PAYLOAD};
use server::{Kind, Server};

/// Rounds of each server for each load.
const ROUNDS: usize = 7;

/// How long a round lasts: long enough for the 10 ms in which the kernel counts CPU time.
const ROUND: Duration = Duration::from_millis(1500);

#[tokio::main]
async fn main() {
    match env::args().nth(1).as_deref() {
        Some("bare") => server::run_bare().await,
        Some("hassock") => server::run_hassock().await,
        _ => compare().await,
    }
}

async fn compare() {
    println!("{PAYLOAD}-byte text messages, {CONNECTIONS} connections, server CPU in µs per message");
    println!("{:>9}  {:>6}  {:>7}  {:>22}", "in flight", "bare", "hassock", "rate: hassock / bare");
    let (bare, hassock) = (Server::start(Kind::Bare).await, Server::start(Kind::Hassock).await);
    for in_flight in [1, 16] {
        let mut bare_load = Load::connect(&bare.address, in_flight).await;
        let mut hassock_load = Load::connect(&hassock.address, in_flight).await;
        let mut rounds = Vec::new();
        // The first round of each is to warm up.
        for round in 0..=ROUNDS {
            let pair = (measure(&bare, &mut bare_load).await, measure(&hassock, &mut hassock_load).await);
            if round > 0 {
                rounds.push(pair);
            }
        }
        let ratios = rounds.iter().map(|(bare, hassock)| bare / hassock);
        println!(
            "{in_flight:>9}  {:>6.2}  {:>7.2}  {:>22.2}",
            median(rounds.iter().map(|(bare, _)| *bare)),
            median(rounds.iter().map(|(_, hassock)| *hassock)),
            median(ratios),
        );
    }
}

/// CPU time of the server per message, in µs, over one round.
async fn measure(server: &Server, load: &mut Load) -> f64 {
    let before = server.cpu();
    let messages = load.run(ROUND).await;
    (server.cpu() - before).as_secs_f64() * 1e6 / messages as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
