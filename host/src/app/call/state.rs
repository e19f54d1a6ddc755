//! The data that the host keeps with an instance, and the data of the one call that runs in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::yield_now;
use tokio::time::Instant;
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::computing::Computing;
use super::output::{Output, Stream};
use crate::app::connection::Connection;
use crate::app::imports::SqlContext;
use crate::app::observer::CallObserver;
use crate::app::versions::Version;
use crate::app::{App, Setup};
use crate::module::TICK;
use crate::sim::Meter;

/// Bytes of random numbers that a module gets at once. The host makes them one by one, and does nothing else meanwhile.
const MOST_RANDOM: u64 = 256 << 10;

/// The data of a wasmtime store: one for each instance.
pub(crate) struct InstanceState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) memory: MemoryLimit,
    /// How long the running call has computed.
    pub(super) computing: Arc<Computing>,
    /// How many lines the running call may still log.
    pub(crate) log: Arc<LogBudget>,
    /// Where panics are printed.
    pub(super) stderr: Output,
    /// The version of the instance.
    pub(crate) version: Arc<Version>,
    /// Databases and transactions that the module holds.
    pub(crate) sql: SqlContext,
    /// The running call. An idle instance has none, so it does not keep its app alive.
    pub call: Option<CallContext>,
}

/// One call of a module, as its imports see it.
pub(crate) struct CallContext {
    /// The app that the called module belongs to.
    pub app: Arc<App>,
    /// What the config said about the app when the call began.
    pub setup: Arc<Setup>,
    /// The connection that the call is for, if it is for one.
    pub connection: Option<Arc<Connection>>,
    /// Dirty connections: the call gave them something to do. They are woken once, when the call ends or waits: waking
    /// a connection at each send would cost a system call per message instead of one per batch.
    pub dirty: Vec<Arc<Connection>>,
    /// What looks at the call. A self-test has none.
    pub observer: Option<CallObserver>,
    /// How many bytes of messages the call may return instead of sending them; none for a call that has to send them.
    pub(super) room: Option<usize>,
    /// When the call began, if it runs on the stack of its session.
    pub(super) direct_since: Option<Instant>,
    /// The call has taken longer than `call_timeout`.
    pub(super) is_late: bool,
}

impl CallContext {
    /// A call for `connection`, or for the app if there is no connection.
    pub(crate) fn new(
        app: Arc<App>,
        setup: Arc<Setup>,
        connection: Option<Arc<Connection>>,
        observer: Option<CallObserver>,
    ) -> Self {
        Self { app, setup, connection, dirty: Vec::new(), observer, room: None, direct_since: None, is_late: false }
    }

    /// Wake the dirty connections.
    pub(crate) fn wake_dirty(&mut self) {
        for connection in self.dirty.drain(..) {
            connection.wake();
        }
    }
}

impl Drop for CallContext {
    fn drop(&mut self) {
        // This also runs when the module trapped: messages that it sent before the trap are delivered.
        self.wake_dirty();
    }
}

impl InstanceState {
    pub(super) fn new(context: &CallContext, version: &Arc<Version>) -> Self {
        let log = Arc::new(LogBudget::default());
        let output = |stream| Output {
            app: Arc::clone(&context.app.name),
            version: Arc::clone(&version.id),
            stream,
            budget: Arc::clone(&log),
            pending: Arc::default(),
        };
        let stderr = output(Stream::Stderr);
        // The module gets no folders, variables, arguments or network. Clocks and random numbers work.
        let mut wasi = WasiCtx::builder();
        wasi.max_random_size(MOST_RANDOM);
        wasi.stdout(output(Stream::Stdout)).stderr(stderr.clone()).allow_tcp(false).allow_udp(false);
        if let Some(sim) = context.app.context.simulation() {
            sim.install(&mut wasi);
        }
        Self {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            memory: MemoryLimit {
                bytes: context.setup.limits.memory.bytes(),
                exceeded: false,
                meter: match &context.observer {
                    Some(CallObserver::Simulation(sim)) => Some(Arc::clone(&sim.meter)),
                    _ => None,
                },
            },
            computing: Arc::default(),
            log,
            stderr,
            version: Arc::clone(version),
            sql: SqlContext::default(),
            call: None,
        }
    }
}

impl Drop for InstanceState {
    fn drop(&mut self) {
        // If it was a panic, the error has it.
        self.stderr.log_deferred();
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Yield at each tick, so that other tasks run, and stop the call when it has used up `cpu_time`. A simulation does not
/// yield, because a real clock would then decide which task runs next.
pub(super) fn on_tick(mut store: StoreContextMut<'_, InstanceState>) -> wasmtime::Result<UpdateDeadline> {
    let InstanceState { call, version, computing, .. } = store.data_mut();
    let pace = &version.pace;
    if let Some(call) = call {
        if call.direct_since.is_some_and(|began| began.elapsed() < TICK) {
            // The tick was about to end when the call began.
            return Ok(UpdateDeadline::Continue(1));
        }
        pace.call_is_long();
        if computing.tick() > call.setup.limits.cpu_time.get() {
            return Ok(UpdateDeadline::Interrupt);
        }
        if call.app.context.simulation().is_some() {
            return Ok(UpdateDeadline::Continue(1));
        }
        let turn = computing.next_turn(&call.setup.turns);
        if let Some(began) = call.direct_since {
            let goes_on = store.data_mut().direct_tick(began, turn);
            return Ok(if goes_on { UpdateDeadline::Continue(1) } else { UpdateDeadline::Interrupt });
        }
        return Ok(UpdateDeadline::YieldCustom(1, Box::pin(turn)));
    }
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(yield_now())))
}

/// Bounds the linear memory of an instance, and remembers that the call reached the bound. Rust turns a failed
/// allocation into a plain trap, and the log should name the reason.
pub(super) struct MemoryLimit {
    bytes: usize,
    pub(super) exceeded: bool,
    meter: Option<Arc<Meter>>,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.bytes;
        self.exceeded |= !fits;
        if let (true, Some(meter)) = (fits, &self.meter) {
            meter.grew(desired);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}

/// How many lines the running call may still log.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    left: AtomicU32,
    suppressed: AtomicU32,
}

/// A bit of what was not logged: some lines are deferred. In the same number as those that were left out, so that the path
/// of a call looks at one.
const DEFERRED: u32 = 1 << 31;

/// What a call has not logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unlogged(u32);

impl Unlogged {
    /// Whether everything was logged.
    pub(super) fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// How many lines were left out.
    pub(super) fn left_out(self) -> u32 {
        self.0 & !DEFERRED
    }
}

impl LogBudget {
    /// Begin a call. Returns how many lines of the previous call were left out, or [deferred](Self::defer).
    pub(super) fn renew(&self, lines: u32) -> Unlogged {
        self.left.store(lines, Ordering::Relaxed);
        Unlogged(self.suppressed.swap(0, Ordering::Relaxed))
    }

    /// A line is not in the log yet, because it may be a part of a panic.
    pub(super) fn defer(&self) {
        self.suppressed.fetch_or(DEFERRED, Ordering::Relaxed);
    }

    /// Take one line of the budget, if one is left.
    pub(crate) fn spend(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Only one call at a time uses this, so the load and the store do not race.
        self.left.store(left - 1, Ordering::Relaxed);
        true
    }
}
