//! Attacks on a host, of its clients and of its modules: for the tests that nobody else feels them, and for the
//! benchmark that measures it.

mod client;
mod host;
mod module;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
pub use host::AttackedHost;
use tokio::task::JoinSet;

use crate::eventually;

/// Something that a client or a module may try. Each attacker does it again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// A module traps.
    Trap,
    /// A module computes without end.
    Spin,
    /// A module calls itself without end.
    Recursion,
    /// A module takes all memory.
    Memory,
    /// A module grows its table of functions.
    Table,
    /// A module sends to a client that has enough.
    Sends,
    /// A module publishes without end.
    Publishes,
    /// A module writes lines of the log without end.
    LogLines,
    /// A module has very many timers that are due at once.
    Timers,
    /// A module subscribes to everything.
    Subscriptions,
    /// A module keeps a huge attachment.
    Attachment,
    /// A module passes a huge argument to the host.
    Argument,
    /// A module asks SQLite for something that takes hours.
    Statement,
    /// A module asks a database for a huge result.
    Result,
    /// A module asks for random bytes without end.
    Random,
    /// A module sleeps.
    Sleep,
    /// A module sleeps in a transaction.
    Transaction,
    /// A client sends its request very slowly.
    SlowHandshake,
    /// A client connects and says nothing.
    HalfOpen,
    /// A client sends and never reads.
    NeverReads,
    /// A client sends its frames byte by byte.
    SingleBytes,
    /// A client announces a frame of 2^62 bytes.
    GiantFrame,
    /// A client sends a message of parts without end.
    Fragments,
    /// A client sends very many parts without content.
    EmptyFragments,
    /// A client sends pings without pause.
    Pings,
    /// A client sends frames without a mask.
    Unmasked,
    /// A client sets bits that are reserved.
    ReservedBits,
    /// A client sends compressed messages that become huge ones.
    Bombs,
    /// Clients connect and leave as fast as they can.
    Storm,
    /// A client sends requests before the upgrade, and does not read the answers.
    Pipelined,
    /// A client sends a request with a huge head.
    HugeHead,
}

/// What carries an attack out.
pub struct Attackers {
    tasks: JoinSet<()>,
    harm: Arc<AtomicU64>,
}

impl Attack {
    /// Begin. Each attacker waits for `pause` after each time.
    pub fn start(self, address: &str, pause: Duration) -> Attackers {
        let harm = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..self.attackers() {
            let (address, harm) = (address.to_owned(), Arc::clone(&harm));
            tasks.spawn(async move {
                loop {
                    match self.module() {
                        Some(misdeed) => misdeed.commit(&address).await,
                        None => self.harass(&address).await,
                    }
                    harm.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Attackers { tasks, harm }
    }

    /// The name on a command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// How many at the same time.
    fn attackers(self) -> usize {
        match self {
            // As many as there are instances.
            Self::Spin | Self::Sleep => AttackedHost::INSTANCES,
            Self::HalfOpen | Self::SlowHandshake => 200,
            Self::Storm | Self::SingleBytes | Self::Pipelined => 16,
            _ => 4,
        }
    }
}

impl Attackers {
    /// How often the attack has had its effect on the attackers: each time, they check what the host does to them.
    pub fn harm(&self) -> u64 {
        self.harm.load(Ordering::Relaxed)
    }

    /// Wait until it has had its effect this often, in all.
    ///
    /// # Panics
    /// If an attacker sees anything else than what should be done to it.
    pub async fn harm_at_least(&mut self, count: u64) {
        let (harm, tasks) = (Arc::clone(&self.harm), tokio::sync::Mutex::new(&mut self.tasks));
        eventually("the attack to have an effect", || async {
            if let Some(ended) = tasks.lock().await.try_join_next() {
                panic!("an attacker has failed: {ended:?}");
            }
            harm.load(Ordering::Relaxed) >= count
        })
        .await;
    }

    /// End it; returns how often it has had its effect.
    ///
    /// # Panics
    /// If an attacker has seen anything else than what should be done to it.
    pub async fn stop(mut self) -> u64 {
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            assert!(
                ended.as_ref().is_err_and(tokio::task::JoinError::is_cancelled),
                "an attacker has failed: {ended:?}"
            );
        }
        self.harm.load(Ordering::Relaxed)
    }
}
