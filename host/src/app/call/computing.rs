//! How long a call computes, and its turn among the calls of its app that compute for long (invariant 4).
//!
//! Most calls end before a tick has passed, and nothing is measured for them: to ask for the time of a thread is a system
//! call. From its first tick on, a call is charged for what its thread computes while it polls the call. So it is neither
//! charged for other programs that use the processor nor for what it waits for, but for the functions of the host that
//! compute on its behalf.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;

use crate::module::TICK;

/// What the calls in one instance compute, one after the other. The call that runs and the task that polls it share this.
#[derive(Debug, Default)]
pub(crate) struct Computing {
    /// The call that runs has computed at a tick.
    is_long: AtomicBool,
    long: Mutex<Long>,
}

/// A call that computes for longer than a tick.
#[derive(Debug, Default)]
struct Long {
    used: Duration,
    /// The time of the thread when it began to poll the call, unless it does not.
    since: Option<Duration>,
    turn: Option<OwnedSemaphorePermit>,
    waits_for_turn: bool,
}

impl Computing {
    /// A tick has passed in the call that runs. Returns how long it has computed: the first tick counts as a whole one.
    pub(super) fn tick(&self) -> Duration {
        let mut long = self.long.lock();
        if !self.is_long.swap(true, Ordering::Relaxed) {
            long.used = TICK;
            long.since = Some(thread_time());
        }
        long.charge();
        long.since = Some(thread_time());
        long.used
    }

    /// Wait for the next turn of the call that runs, after those that wait already.
    pub(super) fn next_turn(self: &Arc<Self>, turns: &Arc<Semaphore>) -> impl Future<Output = ()> + Send + 'static {
        let (this, turns) = (Arc::clone(self), Arc::clone(turns));
        let mut long = self.long.lock();
        long.turn = None;
        long.waits_for_turn = true;
        drop(long);
        async move {
            yield_now().await;
            // Nothing closes the semaphore.
            let turn = turns.acquire_owned().await.ok();
            let mut long = this.long.lock();
            long.turn = turn;
            long.waits_for_turn = false;
        }
    }

    /// Poll a call until it is ready, and measure it if it computes for long. When it waits for something else than its
    /// turn, it gives its turn to another one.
    pub(super) async fn measure<T>(&self, mut call: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|context| {
            self.resume();
            let polled = call.as_mut().poll(context);
            self.pause();
            polled
        })
        .await
    }

    /// The call that ran has ended.
    pub(super) fn end(&self) {
        if self.is_long.load(Ordering::Relaxed) {
            self.is_long.store(false, Ordering::Relaxed);
            *self.long.lock() = Long::default();
        }
    }

    fn resume(&self) {
        if self.is_long.load(Ordering::Relaxed) {
            self.long.lock().since = Some(thread_time());
        }
    }

    fn pause(&self) {
        if self.is_long.load(Ordering::Relaxed) {
            let mut long = self.long.lock();
            long.charge();
            if !long.waits_for_turn {
                long.turn = None;
            }
        }
    }
}

impl Long {
    fn charge(&mut self) {
        if let Some(since) = self.since.take() {
            self.used += thread_time().saturating_sub(since);
        }
    }
}

/// What this thread has computed since it began.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::pin::pin;
    use std::time::Instant;

    use futures_util::FutureExt;
    use tokio::time::sleep;

    use super::*;

    /// Use the processor for this long, as this thread sees it.
    fn compute(time: Duration) {
        let began = thread_time();
        while thread_time() - began < time {
            black_box((0..1_000_u64).sum::<u64>());
        }
    }

    /// A call that is at a tick after each step of the given length.
    async fn call(computing: &Arc<Computing>, turns: &Arc<Semaphore>, step: Duration, pause: Duration) {
        for _ in 0..5 {
            compute(step);
            computing.tick();
            computing.next_turn(turns).await;
            sleep(pause).await;
        }
    }

    #[tokio::test]
    async fn a_call_is_charged_for_what_it_computes_and_not_for_what_it_waits_for() {
        let (computing, turns) = (Arc::new(Computing::default()), Arc::new(Semaphore::new(1)));
        let (step, pause) = (Duration::from_millis(4), Duration::from_millis(50));
        let began = Instant::now();
        let call = pin!(call(&computing, &turns, step, pause));
        computing.measure(call).await;
        let (charged, least) = (computing.tick(), TICK + 4 * step);
        assert!(charged >= least, "{charged:?}");
        assert!(charged < least + pause && began.elapsed() >= 5 * pause, "{charged:?}");
        computing.end();
        assert!(computing.tick() < TICK + step, "the next call begins with nothing");
    }

    #[tokio::test]
    async fn a_call_that_waits_for_something_else_gives_its_turn_away() {
        let (computing, turns) = (Arc::new(Computing::default()), Arc::new(Semaphore::new(1)));
        let waits = async {
            computing.tick();
            computing.next_turn(&turns).await;
            assert_eq!(turns.available_permits(), 0);
            sleep(Duration::from_millis(1)).await;
        };
        let waits = pin!(waits);
        let mut call = pin!(computing.measure(waits));
        // It yields before it has its turn.
        assert!(call.as_mut().now_or_never().is_none());
        assert!(call.as_mut().now_or_never().is_none());
        assert_eq!(turns.available_permits(), 1);
        call.await;
    }
}
