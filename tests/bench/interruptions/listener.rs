//! A client whose connection breaks again and again, and which knows what it should have got.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hassock_tests::speaker::state;
use hassock_tests::{Known, Speaker, Spoken};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{PUBLISHERS, World};

/// The longest time for which a client is away.
const LONGEST: Duration = Duration::from_millis(50);

/// What has happened to all clients.
#[derive(Default)]
pub(super) struct Tally {
    received: AtomicUsize,
    missed: AtomicUsize,
    twice: AtomicUsize,
    /// Messages that were dropped because their id had come before, as the contract says.
    repeated: AtomicUsize,
    told: AtomicUsize,
    resumed: AtomicUsize,
    interruptions: AtomicUsize,
    /// For each recovery how long it took, in seconds, and how many bytes came.
    recoveries: Mutex<Vec<(f64, usize)>>,
}

pub(super) struct Listener {
    random: StdRng,
    position: Option<String>,
    /// If it wants its connection again, what it knows of that.
    known: Option<Known>,
    pub(super) wants_it_again: bool,
    next: [usize; PUBLISHERS],
    /// Something is missing, and the client was told.
    may_skip: [bool; PUBLISHERS],
}

impl Tally {
    pub(super) fn print(&self) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        println!("{:>9} interruptions, {} connections resumed", of(&self.interruptions), of(&self.resumed));
        println!("{:>9} messages received", of(&self.received));
        println!("{:>9} missed without a word, {} twice or out of order", of(&self.missed), of(&self.twice));
        println!("{:>9} gaps told, {} repeated messages known by their id", of(&self.told), of(&self.repeated));
        let mut recoveries = self.recoveries.lock().clone();
        if recoveries.is_empty() {
            return;
        }
        recoveries.sort_by(|one, other| one.0.total_cmp(&other.0));
        let time = |share: f64| recoveries[((recoveries.len() - 1) as f64 * share) as usize].0 * 1e3;
        let bytes = recoveries.iter().map(|(_, bytes)| bytes).sum::<usize>() / recoveries.len();
        println!("{:>9.1} ms to recover at the median, {:.1} ms at p99, {bytes} bytes each", time(0.5), time(0.99));
    }

    pub(super) fn assert_nothing_is_wrong(&self, may_have_gaps: bool) {
        assert_eq!(self.missed.load(Ordering::Relaxed), 0, "missed");
        assert_eq!(self.twice.load(Ordering::Relaxed), 0, "twice or out of order");
        assert!(may_have_gaps || self.told.load(Ordering::Relaxed) == 0, "the history was large enough");
    }
}

impl Listener {
    pub(super) fn new(random: StdRng) -> Self {
        Self {
            random,
            position: None,
            known: None,
            wants_it_again: false,
            next: [0; PUBLISHERS],
            may_skip: [true; PUBLISHERS],
        }
    }

    /// Come, listen and go, so many times.
    pub(super) async fn live(mut self, world: Arc<World>, interruptions: usize) {
        let mut done = 0;
        while done < interruptions {
            if self.come_and_go(&world).await {
                done += 1;
                world.tally.interruptions.fetch_add(1, Ordering::Relaxed);
            }
            let away = LONGEST.mul_f64(self.random.random());
            sleep(away).await;
        }
    }

    /// Connect, listen for a while, and break the connection. False if the host was not there.
    async fn come_and_go(&mut self, world: &World) -> bool {
        let began = Instant::now();
        let said: Vec<usize> = world.said.iter().map(|said| said.load(Ordering::Relaxed)).collect();
        let since = self.position.as_ref().map_or(json!({}), |position| json!({ "numbers": position }));
        let (address, path) = (world.address(), "/probe?topic=numbers");
        let connected = match &self.known {
            Some(known) => known.try_again_with(&address, path, |state| state["since"] = since).await,
            None => {
                let state = state(&json!({ "since": since }).to_string());
                Speaker::with(&address, path, &["hassock.v1", &state]).await
            }
        };
        let Ok(mut speaker) = connected else { return false };
        world.tally.resumed.fetch_add(usize::from(speaker.connected["resumed"] == true), Ordering::Relaxed);
        self.known = self.wants_it_again.then(|| speaker.known());
        let mut bytes = 0;
        let mut is_recovered = self.position.is_none();
        // At least until everything is there that was published before.
        let more = self.random.random_range(0..5);
        let mut left = more;
        while !is_recovered || left > 0 {
            let Ok(spoken) = speaker.try_next().await else { return false };
            self.known = self.wants_it_again.then(|| speaker.known());
            bytes += spoken.payload.len() + spoken.header.to_string().len() + 1;
            left -= usize::from(is_recovered).min(left);
            self.hear(&spoken, &world.tally);
            let has_all = |(next, said): (&usize, &usize)| next >= said;
            if !is_recovered && self.next.iter().zip(&said).all(has_all) {
                is_recovered = true;
                world.tally.recoveries.lock().push((began.elapsed().as_secs_f64(), bytes));
            }
        }
        true
    }

    fn hear(&mut self, spoken: &Spoken, tally: &Tally) {
        match spoken.header["type"].as_str() {
            Some("subscribed") => {
                if spoken.header["recovered"] == json!(false) {
                    self.may_skip = [true; PUBLISHERS];
                    tally.told.fetch_add(usize::from(self.position.is_some()), Ordering::Relaxed);
                }
                self.remember(&spoken.header);
            }
            Some("gap") => {
                self.may_skip = [true; PUBLISHERS];
                tally.told.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {}
            None => {
                self.count(&spoken.payload, tally);
                self.remember(&spoken.header);
            }
        }
    }

    fn count(&mut self, payload: &str, tally: &Tally) {
        let (publisher, number) = payload.split_once(' ').expect("a publisher and a number");
        let (publisher, number): (usize, usize) =
            (publisher.parse().expect("a publisher"), number.parse().expect("a number"));
        let (next, may_skip) = (&mut self.next[publisher], &mut self.may_skip[publisher]);
        tally.received.fetch_add(1, Ordering::Relaxed);
        if number < *next {
            // Only another host may publish it again.
            let counter = if *may_skip { &tally.repeated } else { &tally.twice };
            counter.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if number > *next && !*may_skip {
            tally.missed.fetch_add(number - *next, Ordering::Relaxed);
        }
        (*next, *may_skip) = (number + 1, false);
    }

    fn remember(&mut self, header: &Value) {
        if let Some(position) = header["position"].as_str() {
            self.position = Some(position.to_owned());
        }
    }
}
