//! Does a deploy disturb open connections? This measures the time from a message to its answer, while nothing else
//! happens, while the module is swapped without pause, and while a component of 10 MB is compiled, in one run:
//! `cargo run --release -p hassock-tests --bin bench-deploy`.
//!
//! For comparison, also beside two programs that only count. They show how much any work on the same cores disturbs,
//! even at the lowest priority.
//!
//! The host is a process of its own, and the load does not saturate it: otherwise, times only show how long the queue
//! is. Rounds take turns, because a shared machine's speed changes; the result is the median of the ratios of
//! neighbouring rounds.

#![recursion_limit = "256"]

mod component;
mod load;
mod server;

use std::env;
use std::process::{Child, Command};
use std::time::Duration;

use load::{CONNECTIONS, Load, PER_SECOND, Times};
use server::Server;

/// Rounds of each kind.
const ROUNDS: usize = 7;

/// The number of cores of the machine that the project measures on.
const NEIGHBOURS: usize = 2;

/// How long a round lasts: 15,000 messages, so that 150 of them are slower than the 99th percentile.
const ROUND: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    match env::args().nth(1).as_deref() {
        Some("host") => server::run().await,
        Some("count") => count(),
        _ => compare().await,
    }
}

/// What is compared with a quiet host.
#[derive(Clone, Copy)]
enum Deploy {
    Swaps,
    Compile,
    /// No deploy, but other programs.
    Neighbours,
}

async fn compare() {
    println!("{CONNECTIONS} connections, {PER_SECOND} messages a second, times in µs, medians of {ROUNDS} rounds\n");
    println!("{:<28}{:>9}{:>9}{:>9}{:>9}{:>12}", "", "p50", "before", "p99", "before", "p99 ratio");
    let mut server = Server::start();
    let mut load = Load::connect(&server.address).await;
    load.run(ROUND).await;
    for deploy in [Deploy::Swaps, Deploy::Compile, Deploy::Neighbours] {
        let (mut quiet, mut busy, mut amount) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            quiet.push(load.run(ROUND).await);
            let (times, done) = measure(deploy, &mut server, &mut load).await;
            busy.push(times);
            amount.push(done);
        }
        let name = match deploy {
            Deploy::Swaps => format!("{:.0} swaps a second", median(amount) / ROUND.as_secs_f64()),
            Deploy::Compile => format!("compiling 10 MB in {:.1} s", median(amount)),
            Deploy::Neighbours => format!("{:.0} counting neighbours", median(amount)),
        };
        let ratios = quiet.iter().zip(&busy).map(|(quiet, busy)| busy.p99 / quiet.p99).collect();
        println!(
            "{name:<28}{:>9.0}{:>9.0}{:>9.0}{:>9.0}{:>12.2}",
            of(&busy, |times| times.p50),
            of(&quiet, |times| times.p50),
            of(&busy, |times| times.p99),
            of(&quiet, |times| times.p99),
            median(ratios),
        );
    }
}

/// A round with deploys: the times, and how much was done.
async fn measure(deploy: Deploy, server: &mut Server, load: &mut Load) -> (Times, f64) {
    match deploy {
        Deploy::Swaps => {
            server.tell("swap");
            let times = load.run(ROUND).await;
            (times, server.ask("stop"))
        }
        Deploy::Compile => {
            server.tell("compile");
            let times = load.run(ROUND).await;
            // A round is shorter than the compile, so that all of it is disturbed.
            (times, server.answer())
        }
        Deploy::Neighbours => {
            let mut neighbours: Vec<Child> = (0..NEIGHBOURS).map(|_| neighbour()).collect();
            let times = load.run(ROUND).await;
            for neighbour in &mut neighbours {
                neighbour.kill().and_then(|()| neighbour.wait()).expect("the end of a neighbour");
            }
            (times, NEIGHBOURS as f64)
        }
    }
}

/// This program once more, at the lowest priority.
fn neighbour() -> Child {
    let program = env::current_exe().expect("this program");
    Command::new("nice").args(["-n", "19"]).arg(program).arg("count").spawn().expect("a neighbour")
}

fn count() -> ! {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn of(rounds: &[Times], figure: impl Fn(&Times) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
