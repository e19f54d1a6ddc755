//! External work: work that other threads do for a simulation, such as SQLite statements. Simulated time must not pass
//! while such work is in progress.
//!
//! A paused runtime that has nothing to do lets its time jump to the next timer. While a statement runs on another
//! thread, this would be wrong: if time passed in the simulation before the statement is done, the module could reach a
//! time limit without being at fault. Such work is therefore wrapped in [`external`]. When no external work is in
//! progress, time still passes only if a test asks for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

thread_local! {
    /// The external work of this thread's simulation, if it has one.
    static HERE: RefCell<Option<Arc<ExternalWork>>> = const { RefCell::new(None) };
}

/// How often in a row the runtime must have had nothing to do before the simulation counts as settled. Timers that are
/// due at once may each cause the next one.
const ROUNDS: u32 = 8;

/// The external work of one simulation.
#[derive(Default)]
pub(crate) struct ExternalWork {
    state: Mutex<WorkState>,
}

/// A thread belongs to a simulation while it has this guard. The guard restores the previous one when it is dropped.
pub(crate) struct Here(Option<Arc<ExternalWork>>);

#[derive(Default)]
struct WorkState {
    /// The number of pieces of work in progress on other threads.
    under_way: i64,
    /// How often the runtime has had nothing to do since a task began to wait for that.
    idle: u32,
    /// The task to wake when the runtime has nothing to do.
    main: Option<Waker>,
    mode: Mode,
    /// Time does not pass while this exists.
    clock_hold: Option<ClockHold>,
    /// The tasks with finished work, which resume one at a time when the runtime has nothing else to do.
    returning: VecDeque<(u64, Waker)>,
    /// Gives each of these tasks a different number.
    turns: u64,
}

/// What the runtime does when it has nothing to do.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing. No task drives the simulation, and its time does not pass.
    #[default]
    Resting,
    /// Count how often this happens.
    Settling,
    /// Let its time jump to the next timer.
    Passing,
    /// The simulation ends.
    Ended,
}

impl ExternalWork {
    /// Make this the external work of the thread, until the returned guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Here {
        Here(HERE.replace(Some(Arc::clone(self))))
    }

    /// The runtime has no task that could run, and is about to sleep.
    pub(crate) fn about_to_park(&self) {
        let mut state = self.state.lock();
        if let Some((_, next)) = state.returning.pop_front() {
            state.idle = 0;
            drop(state);
            return next.wake();
        }
        if state.mode == Mode::Settling && state.under_way <= 0 {
            state.idle += 1;
            // A runtime that was woken checks its timers and continues.
            if let Some(main) = &state.main {
                main.wake_by_ref();
            }
        }
    }

    /// Do some work as far as possible without letting time pass. None if the work then waits for time to pass.
    pub(crate) async fn without_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.state.lock().idle = 0;
        let mut work = pin!(work);
        let attempt = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if self.is_idle() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        self.main(Mode::Settling, attempt).await
    }

    /// Do some work, and let time pass only if the work waits for it.
    pub(crate) async fn working<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        match self.without_time(work.as_mut()).await {
            Some(result) => result,
            None => self.passing(work).await,
        }
    }

    /// Let time pass until `work` is done: whenever there is nothing to do, time jumps to the next timer.
    pub(crate) async fn passing<T>(&self, work: impl Future<Output = T>) -> T {
        self.main(Mode::Passing, work).await
    }

    /// Wait until nothing more will happen unless time passes. No time passes meanwhile.
    pub(crate) async fn settled(&self) {
        self.state.lock().idle = 0;
        let idle = poll_fn(|_| if self.is_idle() { Poll::Ready(()) } else { Poll::Pending });
        self.main(Mode::Settling, idle).await;
    }

    fn is_idle(&self) -> bool {
        self.state.lock().idle >= ROUNDS
    }

    /// End all waiting, because the runtime is about to end.
    pub(crate) fn end(&self) {
        self.enter_mode(Mode::Ended);
    }

    async fn main<T>(&self, mode: Mode, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        self.enter_mode(mode);
        let result = poll_fn(|context| {
            self.state.lock().main = Some(context.waker().clone());
            work.as_mut().poll(context)
        })
        .await;
        // The waker keeps the runtime alive, and the runtime keeps this alive.
        self.state.lock().main = None;
        self.enter_mode(Mode::Resting);
        result
    }

    fn enter_mode(&self, mode: Mode) {
        let mut state = self.state.lock();
        state.mode = mode;
        state.update_clock_hold();
    }

    fn begun(&self) {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.update_clock_hold();
    }

    fn finished(&self) {
        let mut state = self.state.lock();
        state.under_way -= 1;
        state.idle = 0;
        state.update_clock_hold();
    }
}

impl WorkState {
    fn update_clock_hold(&mut self) {
        if self.mode == Mode::Ended || (self.mode == Mode::Passing && self.under_way <= 0) {
            self.clock_hold = None;
        } else if self.clock_hold.is_none() {
            // This never runs on another thread, because work starts on the simulation's thread.
            self.clock_hold = Some(ClockHold::pull());
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(self.0.take());
    }
}

/// Keeps time from jumping: a runtime that has blocking work waits for it instead.
struct ClockHold {
    /// The blocking work ends when this is dropped.
    _release: mpsc::Sender<()>,
}

impl ClockHold {
    fn pull() -> Self {
        let (release, released) = mpsc::channel();
        drop(tokio::task::spawn_blocking(move || released.recv()));
        Self { _release: release }
    }
}

/// Do some work that depends on other threads. Outside a simulation, this only awaits the work.
///
/// It is random when another thread finishes, and it may even finish before this thread checks. To make the order
/// deterministic, the waiting task resumes only after every task of this thread that can run.
pub(crate) async fn external<T>(work: impl Future<Output = T>) -> T {
    let Some(here) = HERE.with_borrow(Option::clone) else { return work.await };
    let result = watched(&here, work).await;
    ResumeOrder { here, number: None }.await;
    result
}

/// Waits until the runtime has nothing else to do.
struct ResumeOrder {
    here: Arc<ExternalWork>,
    /// Set while the task waits.
    number: Option<u64>,
}

impl Future for ResumeOrder {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let here = Arc::clone(&self.here);
        let mut state = here.state.lock();
        match self.number {
            None => {
                state.turns += 1;
                self.number = Some(state.turns);
                let waiting = (state.turns, context.waker().clone());
                state.returning.push_back(waiting);
                Poll::Pending
            }
            Some(number) => match state.returning.iter_mut().find(|(waiting, _)| *waiting == number) {
                Some((_, waker)) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
        }
    }
}

impl Drop for ResumeOrder {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.here.state.lock().returning.retain(|(waiting, _)| *waiting != number);
        }
    }
}

async fn watched<T>(here: &Arc<ExternalWork>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    // The ticket is returned with this future, even if the future is dropped before it is ready.
    let mut ticket: Option<Returned> = None;
    poll_fn(|context| {
        drop(ticket.take());
        let (here, task) = (Arc::clone(here), context.waker().clone());
        let new = Arc::new(Ticket { here, task, stage: AtomicU8::new(POLLED) });
        let polled = work.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&new))));
        if polled.is_pending() {
            new.leave();
            ticket = Some(Returned(new));
        }
        polled
    })
    .await
}

const POLLED: u8 = 0;
const AWAY: u8 = 1;
const BACK: u8 = 2;

/// One piece of work between two polls.
struct Ticket {
    here: Arc<ExternalWork>,
    task: Waker,
    stage: AtomicU8,
}

/// Returns its ticket when it is dropped.
struct Returned(Arc<Ticket>);

impl Ticket {
    fn leave(&self) {
        if self.stage.compare_exchange(POLLED, AWAY, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.here.begun();
        }
    }

    fn come_back(&self) {
        if self.stage.swap(BACK, Ordering::AcqRel) == AWAY {
            self.here.finished();
        }
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        // Wake the task first, so that the runtime has work before time may pass again.
        self.task.wake_by_ref();
        self.come_back();
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.0.come_back();
    }
}
