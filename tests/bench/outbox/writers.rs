//! Programs that publish in transactions, and roll back a third of them. A table says in which order they were committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hassock_tests::{Program, TestDatabase, publication};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Shared, TOPICS};

/// The number of a host that is not there.
const NO_HOST: usize = usize::MAX;

/// The longest pause between two transactions of a program, in milliseconds.
const PAUSE: u64 = 20;

/// The most rows of a transaction.
const ROWS: usize = 3;

/// Programs that publish.
pub struct Writers {
    world: Arc<World>,
    tasks: JoinSet<()>,
}

/// What was written.
pub struct Written {
    committed: HashMap<String, Committed>,
    /// Rows that were rolled back.
    pub rolled_back: usize,
    /// Transactions that were done again.
    pub again: usize,
    /// When each host was there.
    lives: Vec<(Instant, Option<Instant>)>,
}

#[derive(Clone, Copy)]
struct Committed {
    /// When the `COMMIT` was sent.
    at: Instant,
    /// The number of the host that was there.
    host: usize,
}

struct World {
    rows: usize,
    /// The rows that may be inserted now.
    allowed: AtomicUsize,
    part: usize,
    inserted: AtomicUsize,
    rolled_back: AtomicUsize,
    again: AtomicUsize,
    host: AtomicUsize,
    lives: Shared<Vec<(Instant, Option<Instant>)>>,
    committed: Shared<HashMap<String, Committed>>,
}

impl Writers {
    /// Begin to write the first part of the rows.
    pub async fn start(database: &TestDatabase, programs: usize, rows: usize, kills: usize, seed: u64) -> Self {
        let mut setup = database.program().await;
        setup.run("CREATE TABLE commits (topic INT PRIMARY KEY, n INT NOT NULL)").await;
        setup.run("CREATE TABLE note (topic INT, n INT, message VARCHAR(40), KEY (topic, n))").await;
        for topic in 0..TOPICS {
            setup.run(&format!("INSERT INTO commits VALUES ({topic}, 0)")).await;
        }
        // One part while there is no host, and one while there is.
        let part = rows.div_ceil(2 * (kills + 1));
        let world = Arc::new(World {
            rows,
            allowed: AtomicUsize::new(part),
            part,
            inserted: AtomicUsize::new(0),
            rolled_back: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
            host: AtomicUsize::new(NO_HOST),
            lives: Shared::default(),
            committed: Shared::default(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..programs {
            let (program, world) = (database.program().await, Arc::clone(&world));
            tasks.spawn(async move {
                let random = StdRng::seed_from_u64(seed ^ (number as u64) << 32);
                Writer { program, world, random, number, transactions: 0 }.write().await;
            });
        }
        Self { world, tasks }
    }

    /// The next part is written, and should arrive soon.
    pub fn host_is_up(&self) {
        self.world.allowed.fetch_add(self.world.part, Ordering::Relaxed);
        let mut lives = self.world.lives.lock();
        self.world.host.store(lives.len(), Ordering::Relaxed);
        lives.push((Instant::now(), None));
    }

    /// The host is about to be killed, and the next part is written meanwhile.
    pub fn host_is_down(&self) {
        self.world.allowed.fetch_add(self.world.part, Ordering::Relaxed);
        self.world.host.store(NO_HOST, Ordering::Relaxed);
        if let Some((_, end)) = self.world.lives.lock().last_mut() {
            *end = Some(Instant::now());
        }
    }

    /// Wait until all rows are written.
    pub async fn end(self) -> Written {
        self.tasks.join_all().await;
        let world = &self.world;
        Written {
            committed: std::mem::take(&mut world.committed.lock()),
            rolled_back: world.rolled_back.load(Ordering::Relaxed),
            again: world.again.load(Ordering::Relaxed),
            lives: std::mem::take(&mut world.lives.lock()),
        }
    }
}

impl Written {
    /// How long a message took, if the same host was there when it was committed and when it came.
    pub fn time_of(&self, message: &str, arrived: Instant) -> Option<Duration> {
        let committed = self.committed.get(message)?;
        let (_, end) = self.lives.get(committed.host)?;
        end.is_none_or(|end| arrived < end).then(|| arrived.saturating_duration_since(committed.at))
    }
}

struct Writer {
    program: Program,
    world: Arc<World>,
    random: StdRng,
    number: usize,
    transactions: usize,
}

impl Writer {
    async fn write(&mut self) {
        loop {
            let topics = self.topics();
            let before = self.world.inserted.fetch_add(topics.len(), Ordering::Relaxed);
            if before >= self.world.rows {
                return;
            }
            while before >= self.world.allowed.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(5)).await;
            }
            let is_rolled_back = self.random.random_ratio(1, 3);
            while let Err(error) = self.transact(&topics, is_rolled_back).await {
                assert!(error.to_string().contains("1213"), "a writer failed: {error}");
                self.world.again.fetch_add(1, Ordering::Relaxed);
            }
            self.transactions += 1;
            sleep(Duration::from_millis(self.random.random_range(0..PAUSE))).await;
        }
    }

    /// Some topics in any order, because programs do not know of each other.
    fn topics(&mut self) -> Vec<usize> {
        let count = self.random.random_range(1..=ROWS);
        (0..count).map(|_| self.random.random_range(0..TOPICS)).collect()
    }

    async fn transact(&mut self, topics: &[usize], is_rolled_back: bool) -> Result<(), sqlx::Error> {
        self.program.try_run("BEGIN").await?;
        let mut messages = Vec::new();
        for (row, topic) in topics.iter().enumerate() {
            let message = format!("{}-{}-{row}", self.number, self.transactions);
            self.program.try_run(&publication(&format!("t{topic}"), &message)).await?;
            self.program.try_run(&format!("UPDATE commits SET n = n + 1 WHERE topic = {topic}")).await?;
            let note = format!("INSERT INTO note SELECT {topic}, n, '{message}' FROM commits WHERE topic = {topic}");
            self.program.try_run(&note).await?;
            messages.push(message);
        }
        if is_rolled_back {
            self.program.try_run("ROLLBACK").await?;
            self.world.rolled_back.fetch_add(topics.len(), Ordering::Relaxed);
            return Ok(());
        }
        let committed = Committed { at: Instant::now(), host: self.world.host.load(Ordering::Relaxed) };
        self.world.committed.lock().extend(messages.into_iter().map(|message| (message, committed)));
        self.program.try_run("COMMIT").await
    }
}
