//! What a hundred connections feel while a client or a module attacks their host: the times of their messages before an
//! attack and during it.
//!
//! ```text
//! cargo run --release -p hassock-tests --bin bench contained [ATTACK …] [--rounds N]
//! ```
//!
//! The attacks are those of the tests in `tests/it/contained`. The host has both cores. The attackers are a process on the
//! core of the load, with the lowest priority: on a machine of their own, they would not compete with the bystanders.

use std::env;
use std::io::{BufRead, BufReader, stdin};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use hassock_tests::{Attack, AttackedHost, Bystanders};
use hdrhistogram::Histogram;

use crate::load::PER_SECOND;
use crate::server::{Cores, hassock_command};

/// How long the bystanders are observed, before an attack and during it.
const OBSERVED: Duration = Duration::from_secs(2);

/// How long the host gets to end what an attack leaves behind: a call goes on for as long as it may when its client is gone.
const REST: Duration = Duration::from_secs(2);

/// The name of the row in which nobody attacks: what two times differ by anyway.
const NOBODY: &str = "nobody";

/// Measure what others feel of an attack.
#[derive(Args)]
pub struct Contained {
    /// The attacks. Without any, all of them.
    attacks: Vec<Attack>,
    /// How often each is carried out.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Be the attackers, until standard input ends. A line is answered with the number of effects so far.
#[derive(Args)]
pub struct Attacking {
    attack: Attack,
    address: String,
}

/// A process with attackers.
struct Attackers {
    process: Child,
    answers: BufReader<ChildStdout>,
}

/// Before and during an attack.
struct Round {
    before: Histogram<u64>,
    during: Histogram<u64>,
    /// Effects of the attack in a second.
    effects: f64,
}

impl Contained {
    pub async fn measure(&self) {
        println!("| attack | effects/s | p50 before | during | ratio | p99 before | during | ratio | most during |");
        println!("|---|---|---|---|---|---|---|---|---|");
        if self.attacks.is_empty() {
            self.row(None).await;
        }
        let attacks = if self.attacks.is_empty() { Attack::value_variants() } else { &self.attacks[..] };
        for attack in attacks {
            self.row(Some(*attack)).await;
        }
    }

    async fn row(&self, attack: Option<Attack>) {
        let host = AttackedHost::start(&hassock_command(Cores::Both)).await;
        let mut bystanders = Bystanders::start(&host.address, AttackedHost::ECHO, PER_SECOND).await;
        bystanders.get_answers(u64::from(PER_SECOND) / 100).await;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            rounds.push(Round::of(attack, &host, &bystanders).await);
        }
        bystanders.stop().await;
        host.stop().await;
        let name = attack.map_or_else(|| NOBODY.to_owned(), Attack::name);
        let effects = median(rounds.iter().map(|round| round.effects));
        let [p50, p99] = [0.5, 0.99].map(|quantile| times(&rounds, quantile));
        let most = rounds.iter().map(|round| round.during.max()).max().unwrap_or_default() as f64 / 1e3;
        println!("| {name} | {effects:.0} | {p50} | {p99} | {most:.0} |");
    }
}

impl Round {
    async fn of(attack: Option<Attack>, host: &AttackedHost, bystanders: &Bystanders) -> Self {
        bystanders.take_times();
        tokio::time::sleep(OBSERVED).await;
        let before = bystanders.take_times();
        let mut attackers = attack.map(|attack| Attackers::start(attack, &host.address));
        // What follows begins with the first effect.
        let first = attackers.as_mut().map_or(0, Attackers::effects);
        let began = Instant::now();
        bystanders.take_times();
        tokio::time::sleep(OBSERVED).await;
        let during = bystanders.take_times();
        let last = attackers.as_mut().map_or(0, Attackers::effects);
        assert!(attack.is_none() || last > first, "the attack has ended too early");
        if let Some(attackers) = attackers {
            attackers.stop();
            tokio::time::sleep(REST).await;
        }
        Self { before, during, effects: (last - first) as f64 / began.elapsed().as_secs_f64() }
    }
}

/// A percentile before and during, in microseconds, and the ratio: medians of the rounds.
fn times(rounds: &[Round], quantile: f64) -> String {
    let micros = |times: &Histogram<u64>| times.value_at_quantile(quantile) as f64 / 1e3;
    let before = median(rounds.iter().map(|round| micros(&round.before)));
    let during = median(rounds.iter().map(|round| micros(&round.during)));
    let ratio = median(rounds.iter().map(|round| micros(&round.during) / micros(&round.before)));
    format!("{before:.0} | {during:.0} | {ratio:.2} ×")
}

/// The middle one. Zero if there are none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Attacking {
    pub async fn run(&self) {
        let mut attackers = self.attack.start(&self.address, Duration::ZERO);
        for line in stdin().lines() {
            line.expect("an order");
            attackers.harm_at_least(1).await;
            println!("{}", attackers.harm());
        }
        attackers.stop().await;
    }
}

impl Attackers {
    fn start(attack: Attack, address: &str) -> Self {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(env::current_exe().expect("this program"));
        command.args(["attacking", &attack.name(), address]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("attackers");
        let answers = BufReader::new(process.stdout.take().expect("their output"));
        Self { process, answers }
    }

    /// How often the attack has had its effect. Waits for the first time.
    fn effects(&mut self) -> u64 {
        use std::io::Write;
        writeln!(self.process.stdin.as_mut().expect("their input")).expect("to ask");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().parse().expect("an attacker has failed; its message is above")
    }

    fn stop(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().expect("their end").success(), "an attacker has failed; its message is above");
    }
}
