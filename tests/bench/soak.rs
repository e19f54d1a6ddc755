//! Whether a host stays as it is for as long as one likes: half of the load that it can serve, while its modules are
//! swapped, modules trap, and clients are killed and come back.
//!
//! ```text
//! cargo run --release -p hassock-tests --bin bench soak MINUTES
//! ```
//!
//! A row is printed each minute. At the end, the last third of the time is compared with the first one; the program fails
//! if a figure has grown.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hassock_tests::{Attack, AttackedHost, Bystanders, Client, example};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::contained::median;
use crate::load;
use crate::server::{Cores, hassock_command};

/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(5);

/// Samples of a row.
const SAMPLES_PER_ROW: usize = 12;

/// Between two swaps, between two traps or kills of each attacker, and between two visits of each client that comes back.
const SWAP: Duration = Duration::from_secs(1);
const ATTACK: Duration = Duration::from_millis(100);
const VISIT: Duration = Duration::from_millis(20);

/// Clients that come back.
const VISITORS: usize = 4;

/// Connections of the measurement of what a host can serve.
const CONNECTIONS: usize = 32;

/// Watch a host under load for a long time.
#[derive(Args)]
pub struct Soak {
    /// How long.
    minutes: usize,
}

/// What is observed, at a moment or since the moment before.
struct Sample {
    figures: [f64; FIGURES.len()],
    times: Histogram<u64>,
}

/// A figure, and the factor by which it may be larger at the end.
struct Figure {
    name: &'static str,
    growth: f64,
}

/// Memory and handles follow the number of connections at the moment. The machine may be shared, so p99 varies most.
const FIGURES: [Figure; 4] = [
    Figure { name: "MiB", growth: 1.1 },
    Figure { name: "handles", growth: 1.1 },
    Figure { name: "threads", growth: 1.1 },
    Figure { name: "µs, p99", growth: 1.5 },
];

impl Soak {
    pub async fn run(&self) -> ExitCode {
        let host = AttackedHost::start(&hassock_command(Cores::Both)).await;
        let per_second = half_of_what_it_serves(&host.address).await;
        println!("{per_second} messages/s, a swap each second\n");
        let bystanders = Bystanders::start(&host.address, AttackedHost::ECHO, per_second).await;
        let attackers = [Attack::Trap, Attack::Storm].map(|attack| attack.start(&host.address, ATTACK));
        let visitors: JoinSet<()> = (0..VISITORS).map(|_| visit(host.address.clone())).collect();
        let samples = tokio::select! {
            samples = observe(&host, &bystanders, self.minutes) => samples,
            () = swap(&host) => unreachable!("swaps do not end"),
        };
        let mut done = Vec::new();
        for attackers in attackers {
            done.push(attackers.stop().await);
        }
        stop(visitors).await;
        bystanders.stop().await;
        host.stop().await;
        println!("\n{} traps, {} rounds of three clients that were killed; no message was lost", done[0], done[1]);
        compare(&samples)
    }
}

/// Messages a second.
async fn half_of_what_it_serves(address: &str) -> u32 {
    let mut sockets = Vec::new();
    for _ in 0..CONNECTIONS {
        sockets.push(load::client::connect(address, AttackedHost::ECHO).await);
    }
    // The first round is to warm up. A round takes a second.
    load::echo(&mut sockets, 64, 1).await;
    u32::try_from(load::echo(&mut sockets, 64, 1).await / 2).expect("a number of messages")
}

/// Look at the host until the time is over.
async fn observe(host: &AttackedHost, bystanders: &Bystanders, minutes: usize) -> Vec<Sample> {
    let names = FIGURES.map(|figure| figure.name);
    println!("| minute | {} | µs, p50 |\n|---|{}", names.join(" | "), "---|".repeat(names.len() + 1));
    let mut samples = Vec::new();
    let mut moments = interval(SAMPLE);
    moments.tick().await;
    bystanders.take_times();
    for minute in 1..=minutes {
        for _ in 0..SAMPLES_PER_ROW {
            moments.tick().await;
            samples.push(Sample::take(host.id(), bystanders.take_times()));
        }
        let row = &samples[samples.len() - SAMPLES_PER_ROW..];
        let figures: Vec<_> = (0..FIGURES.len()).map(|figure| number(of(row, figure))).collect();
        let middle = median(row.iter().map(|sample| sample.times.value_at_quantile(0.5) as f64 / 1e3));
        println!("| {minute} | {} | {} |", figures.join(" | "), number(middle));
    }
    samples
}

impl Sample {
    fn take(process: u32, times: Histogram<u64>) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a host that runs");
        let field = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of its status");
            rest.trim().trim_end_matches(" kB").parse::<f64>().expect("a number")
        };
        let handles = fs::read_dir(format!("/proc/{process}/fd")).expect("its handles").count() as f64;
        let p99 = times.value_at_quantile(0.99) as f64 / 1e3;
        Self { figures: [field("VmRSS:") / 1024.0, handles, field("Threads:"), p99], times }
    }
}

/// The median of a figure.
fn of(samples: &[Sample], figure: usize) -> f64 {
    median(samples.iter().map(|sample| sample.figures[figure]))
}

/// The first sixth is to warm up. The rest has three thirds.
fn compare(samples: &[Sample]) -> ExitCode {
    let steady = &samples[samples.len() / 6..];
    let third = steady.len() / 3;
    let (first, last) = (&steady[..third], &steady[steady.len() - third..]);
    println!("\n| | first third | last third | flat |\n|---|---|---|---|");
    let mut code = ExitCode::SUCCESS;
    for (index, figure) in FIGURES.iter().enumerate() {
        let (before, after) = (of(first, index), of(last, index));
        let is_flat = after <= before * figure.growth;
        println!(
            "| {} | {} | {} | {} |",
            figure.name,
            number(before),
            number(after),
            if is_flat { "yes" } else { "no" }
        );
        if !is_flat {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// Deploy two versions of the echo in turns. They differ in a section that does nothing.
async fn swap(host: &AttackedHost) {
    let echo = fs::read(example("echo")).expect("the example");
    let mut moments = interval(SWAP);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        moments.tick().await;
        // A custom section: its length, the length of its name, and the name.
        let version = [&echo[..], &[0, 2, 1, b'a' + (number % 2) as u8]].concat();
        let answer = host.operator.send("POST /v1/apps/echo/versions", &version).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Connect, get some answers and leave, again and again.
async fn visit(address: String) {
    loop {
        let began = Instant::now();
        let mut client = Client::connect(&address, AttackedHost::ECHO).await;
        for text in ["one", "two", "three"] {
            assert_eq!(client.ask(text).await, text);
        }
        client.close().await;
        tokio::time::sleep_until(began + VISIT).await;
    }
}

async fn stop(mut visitors: JoinSet<()>) {
    visitors.abort_all();
    while let Some(ended) = visitors.join_next().await {
        assert!(ended.as_ref().is_err_and(tokio::task::JoinError::is_cancelled), "a visitor has failed: {ended:?}");
    }
}
