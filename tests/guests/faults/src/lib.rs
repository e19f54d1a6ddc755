//! What a module should not do. Each text message names a fault; anything else is echoed. The setting `start` names a
//! fault at the start.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hassock_sdk::prelude::*;
use statement::LeakBy;

mod flood;
mod statement;

struct Faults;

impl Start for Faults {
    fn start() -> Result<Self> {
        if let Some(misdeed) = settings::get("start") {
            commit(&misdeed);
        }
        Ok(Self)
    }
}

impl Handler for Faults {
    type Message<'a> = MessageRef<'a>;

    fn on_open(&self, _: Connection, request: &Request) -> Result<Acceptance, Refusal> {
        if let Some(misdeed) = request.query_value("open") {
            commit(&misdeed);
        }
        Ok(Acceptance::new().topic("faults"))
    }

    fn on_message(&self, connection: Connection, message: MessageRef<'_>) -> Result<()> {
        let answer = match message.as_text() {
            Some("flood") => {
                flood::sends(connection);
                return Ok(());
            }
            Some("publishes") => {
                flood::publishes(connection);
                return Ok(());
            }
            Some("timers") => flood::timers()?,
            Some("subscriptions") => flood::subscriptions(connection)?,
            Some("attachment") => flood::attachment(connection)?,
            Some("random") => flood::random(),
            Some("table") => table()?,
            Some("glut") => {
                // The host refuses the name in any case, but must not have it in its memory first.
                let _ = connection.subscribe(&"x".repeat(40 << 20));
                "not stopped".to_owned()
            }
            Some("error") => bail!("told to"),
            Some("huge") => statement::huge()?,
            Some("compute") => statement::compute()?,
            Some("leak") => statement::leak(LeakBy::Forgetting)?,
            Some("leak and trap") => statement::leak(LeakBy::Trapping)?,
            Some("leak and spin") => statement::leak(LeakBy::Spinning)?,
            Some("leak and sleep") => statement::leak(LeakBy::Sleeping)?,
            Some("leak and error") => statement::leak(LeakBy::Failing)?,
            Some("chatter") => {
                (0..1000).for_each(|line| info!("line {line}"));
                "chattered".to_owned()
            }
            Some(misdeed) => {
                commit(misdeed);
                misdeed.to_owned()
            }
            None => "binary".to_owned(),
        };
        connection.send(answer)
    }

    fn on_app_timer(&self, timer: &Timer) -> Result<()> {
        // One of them tells the clients that it has fired.
        if timer.name() == "0" {
            topics::publish("faults", "fired")?;
        }
        Ok(())
    }

    fn on_close(&self, _: Connection, closing: &Closing) -> Result<()> {
        if closing.reason == "trap in closed" {
            commit("trap");
        }
        Ok(())
    }
}

fn commit(misdeed: &str) {
    match misdeed {
        "trap" => panic!("told to"),
        "spin" => spin(),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "hog" => hog(),
        "overflow" => drop(std::hint::black_box(overflow(1))),
        _ => {}
    }
}

fn spin() -> ! {
    let mut rounds = 0_u64;
    loop {
        rounds = std::hint::black_box(rounds.wrapping_add(1));
    }
}

fn hog() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    overflow(depth + 1) + frame.iter().sum::<u64>()
}

/// Grow the table of functions until the host refuses, and say how often it did not. Rust has no `table.grow`, so this is
/// a `memory.grow` of the same length, which `hassock_tests::growing_tables` replaces: by more pages than a memory may
/// have.
fn table() -> Result<String> {
    // A call before this one may have done it in the same instance.
    static TIMES: AtomicU32 = AtomicU32::new(0);
    #[cfg(target_arch = "wasm32")]
    while core::arch::wasm32::memory_grow::<0>(0x7ab1_e000) != usize::MAX {
        TIMES.fetch_add(1, Ordering::Relaxed);
    }
    let times = TIMES.load(Ordering::Relaxed);
    ensure!(times > 0, "the table does not grow");
    Ok(format!("grown {times} times and then refused"))
}

hassock_sdk::export!(Faults);
