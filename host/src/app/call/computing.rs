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
use std::task::ready;
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
    /// A tick has passed in the call that runs. Returns how long it has computed. The first tick counts as a whole one, because
    /// nothing was measured before.
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
    /// turn, it gives its turn to another one, and goes on when it has a turn again.
    pub(super) async fn measure<T>(&self, mut call: Pin<&mut impl Future<Output = T>>, turns: &Arc<Semaphore>) -> T {
        let mut next_turn = None;
        poll_fn(|context| {
            if self.lacks_turn() {
                // Boxed, because each connection would keep room for it.
                let next = next_turn.get_or_insert_with(|| Box::pin(Arc::clone(turns).acquire_owned()));
                let turn = ready!(next.as_mut().poll(context));
                next_turn = None;
                // Nothing closes the semaphore.
                self.long.lock().turn = turn.ok();
            }
            self.resume();
            let polled = call.as_mut().poll(context);
            self.pause();
            polled
        })
        .await
    }

    /// Whether the call that runs has given its turn away.
    fn lacks_turn(&self) -> bool {
        self.is_long.load(Ordering::Relaxed) && {
            let long = self.long.lock();
            long.turn.is_none() && !long.waits_for_turn
        }
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
        computing.measure(call, &turns).await;
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
        let mut call = pin!(computing.measure(waits, &turns));
        // It yields before it has its turn.
        assert!(call.as_mut().now_or_never().is_none());
        assert!(call.as_mut().now_or_never().is_none());
        let other = Arc::clone(&turns).acquire_owned().await.unwrap();
        sleep(Duration::from_millis(5)).await;
        assert!(call.as_mut().now_or_never().is_none(), "it goes on without a turn");
        drop(other);
        call.await;
        assert_eq!(turns.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_short_call_needs_no_turn() {
        let (computing, turns) = (Computing::default(), Arc::new(Semaphore::new(0)));
        computing.measure(pin!(sleep(Duration::from_millis(1))), &turns).await;
    }
}
