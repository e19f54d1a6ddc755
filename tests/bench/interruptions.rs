//! Clients whose connections break again and again, while others publish numbered messages: what is missed, what comes twice or
//! out of order, and how long it takes to recover. The same while versions of the module replace each other, and while the
//! host is drained and started again. Invariant 10 is what has to hold.
//!
//! The host is in this process, and so are the clients: the times are those of a machine that does everything.

mod listener;
mod publisher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use hassock::deploy::Rollout;
use hassock_tests::{TestHost, app, guest};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::listener::{Listener, Tally};
use self::publisher::publish;

/// How many publishers there are.
const PUBLISHERS: usize = 4;

/// Break the connections of many clients, and look for what they miss.
#[derive(Args)]
pub struct Interruptions {
    /// What else happens meanwhile. Without any, all of them, one after the other.
    meanwhile: Vec<Meanwhile>,
    /// How many clients there are.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// How often the connection of each breaks.
    #[arg(long, default_value_t = 1_000)]
    interruptions: usize,
    /// How many messages all publishers together send in a second.
    #[arg(long, default_value_t = 100)]
    rate: usize,
    /// Clients want their connections again (`resume_for`), and not only what they have missed.
    #[arg(long)]
    resume: bool,
    /// What decides everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What happens while connections break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Meanwhile {
    /// Nothing else.
    Nothing,
    /// A new version of the module serves every 200 milliseconds.
    Swaps,
    /// The host is drained and started again every two seconds.
    Restarts,
}

/// What everybody needs to know.
struct World {
    address: Mutex<String>,
    /// How many messages of each publisher the host has taken.
    said: [AtomicUsize; PUBLISHERS],
    /// The clients are done.
    is_over: AtomicBool,
    tally: Tally,
}

impl World {
    fn address(&self) -> String {
        self.address.lock().clone()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Interruptions {
    pub async fn run(&self) {
        let all = if self.meanwhile.is_empty() { Meanwhile::value_variants() } else { &self.meanwhile[..] };
        for meanwhile in all {
            self.run_one(*meanwhile).await;
        }
    }

    async fn run_one(&self, meanwhile: Meanwhile) {
        let began = Instant::now();
        let host = TestHost::start(&self.config()).await;
        let world = Arc::new(World {
            address: Mutex::new(host.address()),
            said: Default::default(),
            is_over: AtomicBool::new(false),
            tally: Tally::default(),
        });
        let pause = Duration::from_secs_f64(PUBLISHERS as f64 / self.rate.max(1) as f64);
        let publishing: JoinSet<()> =
            (0..PUBLISHERS).map(|publisher| publish(Arc::clone(&world), publisher, pause)).collect();
        let trouble = tokio::spawn(trouble(Arc::clone(&world), host, meanwhile, self.config()));
        let listening: JoinSet<()> = (0..self.clients)
            .map(|client| {
                let random = StdRng::seed_from_u64(self.seed ^ (client as u64) << 32);
                let mut listener = Listener::new(random);
                listener.wants_it_again = self.resume;
                listener.live(Arc::clone(&world), self.interruptions)
            })
            .collect();
        listening.join_all().await;
        world.is_over.store(true, Ordering::Relaxed);
        publishing.join_all().await;
        let (host, happened) = trouble.await.expect("the trouble ends");
        let history = host.host.control().app_figures().swap_remove(0).history;
        println!("\n{meanwhile:?}, {:.0} s, {} clients, {happened} times", began.elapsed().as_secs_f64(), self.clients);
        world.tally.print();
        println!("{:>9} subscriptions recovered by the last host, gaps {:?}", history.recovered, history.gaps);
        world.tally.assert_nothing_is_wrong(meanwhile == Meanwhile::Restarts);
    }

    /// A history that is large enough for everything that is published while a client is away.
    fn config(&self) -> String {
        let limits = "[limits]\nmax_connections = 20000\nconnections_per_address = 20000\ndrain_window = \"100ms\"\n";
        let granted = "[databases.main]\nurl = \"sqlite::memory:\"\n";
        let topics = "databases = { main = \"read-write\" }\n[apps.probe.topics.\"numbers\"]\nhistory = 20000\nkeep = \"60s\"\nhistory_bytes = \"16MiB\"\n";
        let resume = if self.resume { "limits.resume_for = \"30s\"\n" } else { "" };
        format!("{limits}{granted}{}{resume}{topics}", app("probe", &guest("probe")))
    }
}

/// Make trouble until the clients are done. Returns the host, and how often there was any.
async fn trouble(world: Arc<World>, mut host: TestHost, meanwhile: Meanwhile, config: String) -> (TestHost, usize) {
    let mut happened = 0;
    while !world.is_over() {
        match meanwhile {
            Meanwhile::Nothing => sleep(Duration::from_millis(100)).await,
            Meanwhile::Swaps => {
                happened += 1;
                let control = host.host.control();
                control.deploy("probe", version(happened), Rollout::Full).await.expect("a version that serves");
                sleep(Duration::from_millis(200)).await;
            }
            Meanwhile::Restarts => {
                sleep(Duration::from_secs(2)).await;
                happened += 1;
                host.drain().await;
                host = TestHost::start(&config).await;
                *world.address.lock() = host.address();
            }
        }
    }
    (host, happened)
}

/// The probe with an additional custom section, which is another version of it.
fn version(number: usize) -> Vec<u8> {
    let mut bytes = std::fs::read(guest("probe")).expect("the probe");
    let name = format!("version {number}");
    // Id, size, length of the name: all shorter than 128, so one byte each.
    bytes.extend([0, name.len() as u8 + 1, name.len() as u8]);
    bytes.extend(name.as_bytes());
    bytes
}
