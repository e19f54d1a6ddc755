//! The transactional outbox under writers that roll back and a host that is killed again and again: subscribers get exactly what was
//! committed, in the order of the commits. Latency, and what an idle host asks of the database, are printed.
//!
//! A message that was published shortly before a kill is published again by the next host; each message is unique, so that these
//! are counted and left out.

mod subscribers;
mod writers;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use hassock_tests::{MariaDb, Process, Program, TestDatabase, app, eventually, guest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use self::subscribers::{Arrived, Subscribers};
use self::writers::Writers;

/// How many topics the writers publish to.
const TOPICS: usize = 8;

/// For how long an idle host is watched.
const IDLE: Duration = Duration::from_secs(5);

/// The longest time from the first message after a start to the next kill.
const LIFE: u64 = 600;

/// Publish through the outbox of MariaDB while the host is killed.
#[derive(Args)]
pub struct OutboxBench {
    /// Rows that are inserted, of which a third is rolled back.
    #[arg(long, default_value_t = 10_000)]
    rows: usize,
    /// Programs that insert them at the same time.
    #[arg(long, default_value_t = 10)]
    writers: usize,
    /// How often the host is killed.
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// What decides everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl OutboxBench {
    /// Fails if a message is missing, was rolled back, or came in another order.
    pub async fn run(&self) -> ExitCode {
        let server = MariaDb::start().await;
        let database = TestDatabase::at(server.database().await);
        database.create_outbox(hassock::database::OutboxOrder::Commits).await;
        let folder = tempfile::tempdir().expect("a folder for the config");
        let (mut host, address) = start(folder.path(), &database.url, "127.0.0.1:0").await;
        let subscribers = Subscribers::start(&address, TOPICS);
        subscribers.have_connected(1).await;
        let idle = idle_queries(&mut database.program().await).await;

        let writers = Writers::start(&database, self.writers, self.rows, self.kills, self.seed).await;
        let mut random = StdRng::seed_from_u64(self.seed);
        for kill in 0..self.kills {
            // Each host publishes something before it dies.
            subscribers.get_messages_of_host(kill + 1).await;
            writers.host_is_up();
            sleep(Duration::from_millis(random.random_range(0..LIFE))).await;
            writers.host_is_down();
            host.signal("KILL");
            drop(host);
            host = start(folder.path(), &database.url, &address).await.0;
        }
        subscribers.get_messages_of_host(self.kills + 1).await;
        writers.host_is_up();
        let written = writers.end().await;
        eventually("the last rows to be removed", || async { database.waiting().await == 0 }).await;
        host.signal("TERM");
        let finished = host.ends().await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        self.judge(&database, &subscribers.end().await, &written, idle).await
    }

    async fn judge(
        &self,
        database: &TestDatabase,
        arrived: &[Vec<Arrived>],
        written: &writers::Written,
        idle: f64,
    ) -> ExitCode {
        let (mut missing, mut strange, mut disordered, mut repeated, mut committed) = (0, 0, 0, 0, 0);
        let mut times = Vec::new();
        for (topic, arrived) in arrived.iter().enumerate() {
            let query = format!("SELECT message FROM note WHERE topic = {topic} ORDER BY n");
            let expected = database.texts(&query).await;
            let first = first_arrivals(arrived);
            repeated += arrived.len() - first.len();
            committed += expected.len();
            let known: std::collections::HashSet<&str> = expected.iter().map(String::as_str).collect();
            let came: std::collections::HashSet<&str> = first.iter().map(|message| message.text.as_str()).collect();
            missing += expected.iter().filter(|message| !came.contains(message.as_str())).count();
            strange += first.iter().filter(|message| !known.contains(message.text.as_str())).count();
            disordered += first.iter().zip(&expected).filter(|(message, expected)| message.text != **expected).count();
            times.extend(first.iter().filter_map(|message| written.time_of(&message.text, message.at)));
        }
        times.sort();
        println!("seed {}, {} rows by {} programs, {} kills", self.seed, self.rows, self.writers, self.kills);
        println!("{committed:>7} messages were committed, {} rolled back", written.rolled_back);
        println!("{missing:>7} are missing");
        println!("{strange:>7} came although they were not committed");
        println!("{disordered:>7} came in another order than that of the commits");
        println!("{repeated:>7} came again, because the host was killed before it removed them");
        println!("{:>7} transactions were done again after a deadlock", written.again);
        let percentile = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        println!(
            "{:>7.1?} from the COMMIT to the client (p50), {:.1?} (p99), of {} messages while the host was there",
            percentile(50),
            percentile(99),
            times.len()
        );
        println!("{idle:>7.1} queries a second of an idle host (`Questions` of MariaDB)");
        let is_good = missing + strange + disordered == 0 && committed > 0 && written.rolled_back > 0;
        if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Without those that came again.
fn first_arrivals(arrived: &[Arrived]) -> Vec<&Arrived> {
    let mut seen = std::collections::HashSet::new();
    arrived.iter().filter(|message| seen.insert(message.text.as_str())).collect()
}

/// Start a host. Returns where it listens.
async fn start(folder: &Path, url: &str, listen: &str) -> (Process, String) {
    let limits = "[limits]\ndrain_window = \"0s\"\n";
    let text = format!(
        "listen = \"{listen}\"\nwatch = false\n{limits}[databases.main]\nurl = \"{url}\"\n[databases.main.outbox]\n{}\
         databases.main = \"read-write\"\n",
        app("probe", &guest("probe"))
    );
    std::fs::write(folder.join("hassock.toml"), text).expect("the config");
    let host = Process::hassock(folder, ["serve"]);
    let address = host.line("Starting server on ").await;
    (host, address)
}

/// Statements that the server gets in a second while nobody publishes.
async fn idle_queries(program: &mut Program) -> f64 {
    // The relay waits for its start.
    sleep(Duration::from_secs(3)).await;
    let (begun, before) = (Instant::now(), questions(program).await);
    sleep(IDLE).await;
    let asked = questions(program).await - before;
    // One of them is our own.
    (asked - 1) as f64 / begun.elapsed().as_secs_f64()
}

async fn questions(program: &mut Program) -> i64 {
    let query = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
                 WHERE variable_name = 'QUESTIONS'";
    program.number(query).await
}

/// What all parts know.
type Shared<T> = Arc<parking_lot::Mutex<T>>;
