//! What fails, again and again, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use hassock::config::Share;
use hassock::deploy::Rollout;
use hassock_tests::{MariaDb, TestHost, guest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::World;
use crate::component::enlarged;

/// Versions of the module that take turns.
const VERSIONS: u32 = 4;

pub(super) struct Trouble {
    running: watch::Sender<bool>,
    database: JoinHandle<MariaDb>,
    versions: JoinHandle<()>,
    line: JoinHandle<()>,
}

impl Trouble {
    pub(super) fn start(world: &Arc<World>, host: &Arc<TestHost>, database: MariaDb, seed: u64) -> Self {
        let (running, observed) = watch::channel(true);
        let turns = |number: u64, from: u64, to: u64| Turns {
            random: StdRng::seed_from_u64(seed.wrapping_add(number)),
            running: observed.clone(),
            pause: from..to,
        };
        Self {
            database: tokio::spawn(fail_database(Arc::clone(world), database, turns(1000, 500, 3000))),
            versions: tokio::spawn(swap_versions(Arc::clone(world), Arc::clone(host), turns(2000, 100, 1000))),
            line: tokio::spawn(cut_line(Arc::clone(world), turns(3000, 200, 2000))),
            running,
        }
    }

    /// Stop, and return a database that works.
    pub(super) async fn stop(self) -> MariaDb {
        self.running.send_replace(false);
        self.versions.await.expect("the versions");
        self.line.await.expect("the line");
        self.database.await.expect("the database")
    }
}

/// Times at random at which something fails.
struct Turns {
    random: StdRng,
    running: watch::Receiver<bool>,
    /// Milliseconds from one to the next.
    pause: std::ops::Range<u64>,
}

impl Turns {
    /// Wait for the next one. False after the last one.
    async fn next(&mut self) -> bool {
        let pause = Duration::from_millis(self.random.random_range(self.pause.clone()));
        tokio::select! {
            () = sleep(pause) => true,
            _ = self.running.wait_for(|running| !running) => false,
        }
    }

    fn one_of(&mut self, count: u32) -> u32 {
        self.random.random_range(0..count)
    }
}

async fn fail_database(world: Arc<World>, mut database: MariaDb, mut turns: Turns) -> MariaDb {
    while turns.next().await {
        match turns.one_of(3) {
            0 => {
                world.tally.note("database: killed");
                database.kill();
                turns.next().await;
                database.restart().await;
            }
            1 => {
                world.tally.note("database: restarted");
                database.stop();
                database.restart().await;
            }
            _ => {
                world.tally.note("database: stood still");
                database.pause();
                turns.next().await;
                database.resume();
            }
        }
    }
    database
}

async fn swap_versions(world: Arc<World>, host: Arc<TestHost>, mut turns: Turns) {
    let probe = std::fs::read(guest("probe")).expect("the module");
    let versions: Vec<Vec<u8>> = (0..VERSIONS).map(|seed| enlarged(&probe, 10_000, seed)).collect();
    let control = host.host.control();
    while turns.next().await {
        let version = versions[turns.one_of(VERSIONS) as usize].clone();
        let (what, done) = match turns.one_of(4) {
            0 => ("taken back", control.rollback("probe").map(drop)),
            1 => {
                let share: Share = "30%".parse().expect("a share");
                ("canary", control.deploy("probe", version, Rollout::Canary(share)).await.map(drop))
            }
            _ => ("deployed", control.deploy("probe", version, Rollout::Full).await.map(drop)),
        };
        let how = if done.is_ok() { "" } else { ", refused" };
        world.tally.note(&format!("versions: {what}{how}"));
    }
}

async fn cut_line(world: Arc<World>, mut turns: Turns) {
    while turns.next().await {
        match turns.one_of(3) {
            0 => {
                world.tally.note("line: held");
                world.proxy.hold();
                turns.next().await;
                world.proxy.release();
            }
            1 => {
                world.tally.note("line: slow");
                world.proxy.delay(Duration::from_millis(20));
                turns.next().await;
                world.proxy.delay(Duration::ZERO);
            }
            _ => {
                world.tally.note("line: cut");
                world.proxy.cut();
            }
        }
    }
}
