//! What a history costs: the same publications to topics that keep nothing, and to topics that keep 200 messages.

use clap::Args;
use hassock_tests::{app_with_database, guest, more_open_files};

use crate::contained::median;
use crate::load::{FanOut, Load, Round};
use crate::server::{Cores, Server};

const SUBSCRIBERS: [usize; 3] = [1, 200, 5_000];

/// Measure what a delivery costs with and without a history.
#[derive(Args)]
pub struct Histories {
    /// Rounds of each host.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Histories {
    pub async fn measure(&self) {
        more_open_files();
        println!("| subscribers | without a history | with one | ratio |\n|---|---|---|---|");
        for subscribers in SUBSCRIBERS {
            let mut without = FanOut::new(host(""), subscribers).await;
            let mut with = FanOut::new(host("[apps.probe.topics.news]\nhistory = 200\n"), subscribers).await;
            let (mut cheap, mut dear, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..=self.rounds {
                let (without, with) = (cpu(&without.round().await), cpu(&with.round().await));
                // The first round warms them up.
                if round > 0 {
                    cheap.push(without);
                    dear.push(with);
                    ratios.push(with / without);
                }
            }
            let [without, with, ratio] = [cheap, dear, ratios].map(|figures| median(figures.into_iter()));
            println!("| {subscribers} | {without:.3} µs | {with:.3} µs | {ratio:.2} |");
        }
    }
}

fn host(topics: &str) -> Server {
    let app = app_with_database("probe", &guest("probe"), "sqlite::memory:");
    let config = format!("[limits]\nconnections_per_address = 10000\n{app}{topics}");
    Server::hassock_with(&config, Cores::SERVER, &[])
}

/// Microseconds of the host's CPU for a delivery.
fn cpu(round: &Round) -> f64 {
    round.cpu.expect("a fan-out is measured")
}
