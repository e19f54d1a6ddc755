//! What the host keeps with an instance, and what belongs to the one call that runs in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::output::{Output, Stream};
use crate::app::connection::Connection;
use crate::app::imports::SqlContext;
use crate::app::versions::Version;
use crate::app::{App, Setup};
use crate::sim::{Lab, Meter};

/// The data of a wasmtime store: one for each instance.
pub(crate) struct InstanceState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) memory: MemoryLimit,
    /// The lines that the running call may still log.
    pub(crate) log: Arc<LogBudget>,
    /// The version that the instance is of.
    pub(crate) version: Arc<Version>,
    /// Databases and transactions that the module holds.
    pub(crate) sql: SqlContext,
    /// The running call. An idle instance has none, so that it does not keep its app alive.
    pub call: Option<CallContext>,
}

/// One call of a module, as its imports see it.
pub(crate) struct CallContext {
    /// The app whose module is called.
    pub app: Arc<App>,
    /// What the config said about the app when the call began.
    pub setup: Arc<Setup>,
    /// The connection that the call is about, if it is about one.
    pub connection: Option<Arc<Connection>>,
    /// Connections that got something to do in this call. They are woken once, when it ends or waits:
    /// waking at each send would cost each of them a system call per message instead of one per batch.
    pub dirty: Vec<Arc<Connection>>,
    /// The laboratory that it counts in, and whose faults it meets: none for a self-test.
    pub lab: Option<Arc<Lab>>,
    ticks: u32,
}

impl CallContext {
    /// A call for `connection`, or for the app itself.
    pub(crate) fn new(
        app: Arc<App>,
        setup: Arc<Setup>,
        connection: Option<Arc<Connection>>,
        lab: Option<Arc<Lab>>,
    ) -> Self {
        Self { app, setup, connection, dirty: Vec::new(), lab, ticks: 0 }
    }

    /// Wake the connections that got something to do.
    pub(crate) fn wake_dirty(&mut self) {
        for connection in self.dirty.drain(..) {
            connection.wake();
        }
    }
}

impl Drop for CallContext {
    fn drop(&mut self) {
        // Also when the module trapped: what it sent before that is sent.
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
            line: Arc::default(),
        };
        // Nothing is granted: no folders, variables, arguments or network. Clocks and random numbers work.
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output(Stream::Stdout)).stderr(output(Stream::Stderr)).allow_tcp(false).allow_udp(false);
        if let Some(lab) = &context.app.context.lab {
            lab.install(&mut wasi);
        }
        Self {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            memory: MemoryLimit {
                bytes: context.setup.limits.memory.bytes(),
                exceeded: false,
                meter: context.lab.as_ref().map(|lab| Arc::clone(&lab.meter)),
            },
            log,
            version: Arc::clone(version),
            sql: SqlContext::default(),
            call: None,
        }
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Yield at each tick, so that others run; stop when the call has used up its ticks. In a laboratory nobody is in a
/// hurry, and a real clock must not decide who goes on first.
pub(super) fn on_tick(mut store: StoreContextMut<'_, InstanceState>) -> wasmtime::Result<UpdateDeadline> {
    if let Some(call) = &mut store.data_mut().call {
        call.ticks += 1;
        if call.ticks > call.setup.max_ticks {
            return Ok(UpdateDeadline::Interrupt);
        }
        if call.app.context.lab.is_some() {
            return Ok(UpdateDeadline::Continue(1));
        }
    }
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

/// Bounds the linear memory of an instance, and remembers that the bound was hit: Rust turns a failed
/// allocation into a plain trap, and the log should say why.
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

impl LogBudget {
    /// Begin a call. Returns how many lines the last one had to leave out.
    pub(super) fn renew(&self, lines: u32) -> u32 {
        self.left.store(lines, Ordering::Relaxed);
        self.suppressed.swap(0, Ordering::Relaxed)
    }

    /// Take a line, if there is one left.
    pub(crate) fn spend(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // One call at a time uses it: load and store do not race.
        self.left.store(left - 1, Ordering::Relaxed);
        true
    }
}
