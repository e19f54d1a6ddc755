//! Everything fails at random while clients come and go: clients, the line to them, the database, versions, instances, and
//! at the end the host. What has to hold is invariant 2: the module hears of each connection's end exactly once.
//!
//! It is not a benchmark, but it belongs to no test run either, because it takes minutes. It is the same with each seed, as
//! far as the machine's scheduler lets it.

mod life;
mod trouble;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use hassock_tests::{Events, MariaDb, Proxy, TestHost, app, eventually, guest, within};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::life::Life;
use self::trouble::Trouble;

/// Let everything around many connections fail at random, and count their ends.
#[derive(Args)]
pub struct Chaos {
    /// How many connections there are in all.
    #[arg(long, default_value_t = 20_000)]
    connections: usize,
    /// How many of them there are at the same time.
    #[arg(long, default_value_t = 200)]
    together: usize,
    /// What decides everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// After so many seconds, no more connections are made.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
}

/// What clients need to know.
struct World {
    /// The host's own address.
    address: String,
    /// Another way to it, which is cut at times.
    proxy: Proxy,
    /// Connections that are still to be made.
    left: AtomicUsize,
    tally: Tally,
}

/// How often something has happened.
#[derive(Default)]
struct Tally(parking_lot::Mutex<BTreeMap<String, usize>>);

impl Tally {
    fn note(&self, what: &str) {
        *self.0.lock().entry(what.to_owned()).or_default() += 1;
    }

    fn of(&self, what: &str) -> usize {
        self.0.lock().get(what).copied().unwrap_or_default()
    }

    fn print(&self) {
        self.0.lock().iter().for_each(|(what, count)| println!("{count:>7} {what}"));
    }
}

impl Chaos {
    pub async fn run(&self) {
        let began = Instant::now();
        let events = Events::new().await;
        let database = MariaDb::start().await;
        let host = Arc::new(TestHost::start(&config(&database.database().await, &events.url())).await);
        let mut first = host.connect("/probe").await;
        first.execute("CREATE TABLE t (n BIGINT PRIMARY KEY)", json!([])).await;
        let (address, proxy) = (host.address(), Proxy::start(&host.address()).await);
        let left = AtomicUsize::new(self.connections.saturating_sub(self.together));
        let world = Arc::new(World { address, proxy, left, tally: Tally::default() });

        let (not_made, _database) = self.live(&world, Trouble::start(&world, &host, database, self.seed)).await;
        let first = Mutex::new(first);
        let query = || json!({ "query": { "sql": "SELECT 1" } });
        let is_found = || async { first.lock().await.try_probe(query()).await["ok"].is_array() };
        eventually("the database to be found", is_found).await;
        first.into_inner().close().await;
        let cut_off = self.drain(&world, host).await;
        let ended = events.assert_each_closed_once().await;

        println!("seed {}, {:.0} s", self.seed, began.elapsed().as_secs_f64());
        world.tally.print();
        println!("{ended:>7} connections were opened once and closed once");
        assert_eq!(cut_off, 0, "connections did not end in time");
        assert_eq!(not_made, 0, "there was no time for all connections");
    }

    /// Make connections until there are enough, or the time is over. Returns how many were not made, and the database.
    async fn live(&self, world: &Arc<World>, trouble: Trouble) -> (usize, MariaDb) {
        let clients: JoinSet<()> = (0..self.together as u64).map(|number| self.client(world, number)).collect();
        let mut everyone = pin!(clients.join_all());
        let in_time = timeout(Duration::from_secs(self.seconds), &mut everyone).await.is_ok();
        let not_made = world.left.swap(0, Ordering::Relaxed);
        if !in_time {
            within("the last clients", everyone).await;
        }
        (not_made, trouble.stop().await)
    }

    /// Drain the host while many connections are open, and talk. Returns how many did not end.
    async fn drain(&self, world: &Arc<World>, host: Arc<TestHost>) -> usize {
        let residents: JoinSet<()> = (0..self.together).map(|_| life::reside(Arc::clone(world))).collect();
        let all_are_here = || async { world.tally.of(life::RESIDENTS) == self.together };
        eventually("the last connections", all_are_here).await;
        let host = Arc::into_inner(host).expect("nobody else has it now");
        let cut_off = host.drain().await;
        residents.join_all().await;
        cut_off
    }

    /// One connection after the other.
    fn client(&self, world: &Arc<World>, number: u64) -> impl Future<Output = ()> + Send + 'static {
        let mut random = StdRng::seed_from_u64(self.seed ^ number << 32);
        let world = Arc::clone(world);
        async move {
            let take = |left: usize| left.checked_sub(1);
            while world.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                Life::random(&mut random).live(&world, &mut random).await;
            }
        }
    }
}

/// A database that comes and goes, and another one for the events. Nothing may expire only because the machine is busy.
fn config(main: &str, events: &str) -> String {
    let many = "[limits]\nmax_connections = 20000\nconnections_per_address = 20000\n";
    let main = format!(
        "[databases.main]\nurl = \"{main}\"\nmax_connections = 8\nconnect_timeout = \"500ms\"\n\
         acquire_timeout = \"500ms\"\nquery_timeout = \"500ms\"\n"
    );
    let events = format!("[databases.events]\nurl = \"{events}\"\nacquire_timeout = \"2m\"\nquery_timeout = \"2m\"\n");
    let grants = "databases = { main = \"read-write\", events = \"read-write\" }\n";
    let settings = "[apps.probe.settings]\nevents = true\nevents-in = \"events\"\n";
    let limits =
        "[apps.probe.limits]\ninstances = 64\ninstance_wait = \"2m\"\ncall_timeout = \"2m\"\nkeepalive = \"1h\"\n";
    format!("{many}{main}{events}{}{grants}{settings}{limits}", app("probe", &guest("probe")))
}
