//! The instances of an app. Their number is bounded for all versions of the app together. Instances are reused, and an
//! instance is dropped when a call in it fails.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::timeout;
use wasmtime::component::TypedFunc;
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::state::{CallContext, InstanceState, Unlogged, on_tick};
use crate::app::versions::Version;
use crate::config::Duration;
use crate::module::CallError;
use crate::module::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};
use crate::module::bindings::exports::hassock::host::{
    handler, migration, request_handler, resumption_handler, self_test, subscription_handler, timer_handler,
};

/// `receive-packed`. The generated functions always make a stack of their own; this one can be called with and without.
pub(super) type ReceivePacked = TypedFunc<(u64, &'static [u8], u32), (Result<Vec<u8>, String>,)>;

/// The functions of `handler` that are called on the stack of the caller, of a version that cannot wait.
pub(super) struct DirectHandler {
    pub(super) open: TypedFunc<(u64, &'static Request), (Result<Acceptance, Refusal>,)>,
    pub(super) closed: TypedFunc<(u64, &'static Closing), ()>,
}

/// One live instance with its store.
pub(super) struct Instance {
    pub(super) store: Store<InstanceState>,
    pub(super) handler: handler::Guest,
    pub(super) receive_packed: Option<ReceivePacked>,
    pub(super) direct: Option<DirectHandler>,
    pub(super) timer_handler: Option<timer_handler::Guest>,
    pub(super) subscription_handler: Option<subscription_handler::Guest>,
    pub(super) request_handler: Option<request_handler::Guest>,
    pub(super) resumption_handler: Option<resumption_handler::Guest>,
    pub(super) self_test: Option<self_test::Guest>,
    pub(super) migration: Option<migration::Guest>,
    calls: u32,
    _alive: Alive,
}

/// The idle instances of an app, and how many more instances may be made.
pub(crate) struct Pool {
    #[expect(clippy::vec_box, reason = "an instance moves twice for each call")]
    idle: Mutex<Vec<Box<Instance>>>,
    free: Semaphore,
    /// Calls that wait for as long as it takes need one of these too, which are half as many: others, which give up, would
    /// otherwise wait behind all of them.
    owed: Semaphore,
    /// Instances that exist, idle or in a call.
    live: Arc<AtomicU32>,
    most: u32,
    /// Another pool has replaced this one, so no instance is kept any more.
    closed: AtomicBool,
}

/// Counts an instance for as long as it lives.
struct Alive(Arc<AtomicU32>);

/// An instance for one call. Unless the call is [`finished`](Lease::finish), the instance is dropped with the lease:
/// after a trap or a dropped call, it would refuse every further call.
pub(super) struct Lease<'a> {
    pub(super) instance: Box<Instance>,
    version: &'a Version,
    pool: &'a Pool,
    _permit: Permit<'a>,
}

/// The permission for one call.
struct Permit<'a> {
    _free: SemaphorePermit<'a>,
    _owed: Option<SemaphorePermit<'a>>,
}

impl Pool {
    /// A pool for at most this many calls at the same time.
    pub(crate) fn new(instances: u32) -> Self {
        Self {
            idle: Mutex::default(),
            free: Semaphore::new(instances as usize),
            owed: Semaphore::new((instances as usize / 2).max(1)),
            live: Arc::default(),
            most: instances,
            closed: AtomicBool::new(false),
        }
    }

    /// How many calls are in progress.
    pub(crate) fn calls(&self) -> usize {
        (self.most as usize).saturating_sub(self.free.available_permits())
    }

    /// How many instances exist, idle or in a call.
    pub(crate) fn instances(&self) -> usize {
        self.live.load(Ordering::Relaxed) as usize
    }

    /// The most instances that may exist.
    pub(crate) fn most(&self) -> usize {
        self.most as usize
    }

    /// Drop the idle instances of the versions that serve no new connections.
    pub(crate) fn drop_retired(&self) {
        // Not under the lock, because dropping an instance unmaps its memory.
        let _retired: Vec<_> = self.idle.lock().extract_if(.., |idle| idle.store.data().version.is_retired()).collect();
    }

    /// Drop all idle instances, and with them everything that they keep in their memory.
    pub(crate) fn drop_idle(&self) {
        let _idle = std::mem::take(&mut *self.idle.lock());
    }

    /// Keep no instances from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _idle = std::mem::take(&mut *self.idle.lock());
    }

    /// Take an idle instance of `version`, make a new one, or wait until one may be made: at most so long.
    pub(super) async fn lease<'a>(
        &'a self,
        version: &'a Arc<Version>,
        context: CallContext,
        longest: Option<Duration>,
    ) -> Result<Lease<'a>, CallError> {
        let permit = self.permit(longest).await?;
        let instance = match self.take(version) {
            Some(mut instance) => {
                begin(&mut instance.store, context);
                instance
            }
            // Boxed, because this path is rare and every connection would otherwise keep memory for its future.
            None => Box::pin(self.instantiate(version, context)).await?,
        };
        Ok(Lease { instance, version, pool: self, _permit: permit })
    }

    /// Take an idle instance of `version`, if there is one and a call may begin now.
    pub(super) fn try_lease<'a>(&'a self, version: &'a Arc<Version>, context: CallContext) -> Option<Lease<'a>> {
        let permit = Permit { _free: self.free.try_acquire().ok()?, _owed: None };
        let mut instance = self.take_idle(version)?;
        begin(&mut instance.store, context);
        Some(Lease { instance, version, pool: self, _permit: permit })
    }

    /// The permission for a call, which waits at most so long, or for as long as it takes.
    async fn permit(&self, longest: Option<Duration>) -> Result<Permit<'_>, CallError> {
        let Some(wait) = longest else {
            // At most half of them stand in the queue before other calls.
            let _owed = Some(self.owed.acquire().await.map_err(never_closed)?);
            return Ok(Permit { _free: self.free.acquire().await.map_err(never_closed)?, _owed });
        };
        if let Ok(_free) = self.free.try_acquire() {
            return Ok(Permit { _free, _owed: None });
        }
        match Box::pin(timeout(wait.get(), self.free.acquire())).await {
            Ok(Ok(_free)) => Ok(Permit { _free, _owed: None }),
            Ok(Err(_)) | Err(_) => Err(CallError::Busy { instances: self.most, wait }),
        }
    }

    /// An idle instance of the version. If there is none and another version uses up the limit, drop the instance that
    /// has been idle longest.
    fn take(&self, version: &Arc<Version>) -> Option<Box<Instance>> {
        if let Some(instance) = self.take_idle(version) {
            return Some(instance);
        }
        let mut idle = self.idle.lock();
        let supersedes = self.live.load(Ordering::Relaxed) >= self.most && !idle.is_empty();
        let oldest = supersedes.then(|| idle.remove(0));
        drop(idle);
        drop(oldest);
        None
    }

    fn take_idle(&self, version: &Arc<Version>) -> Option<Box<Instance>> {
        let mut idle = self.idle.lock();
        let place = idle.iter().rposition(|idle| Arc::ptr_eq(&idle.store.data().version, version))?;
        Some(idle.remove(place))
    }

    async fn instantiate(&self, version: &Arc<Version>, context: CallContext) -> Result<Box<Instance>, CallError> {
        let alive = Alive::new(&self.live);
        let mut store = Store::new(version.pre.engine(), InstanceState::new(&context, version));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(on_tick);
        store.set_hostcall_fuel(context.setup.host_call_bytes);
        let (computing, turns) = (Arc::clone(&store.data().computing), Arc::clone(&context.setup.turns));
        begin(&mut store, context);
        let failed = |error: wasmtime::Error| CallError::Instantiate(format!("{error:#}"));
        let made = {
            let made = pin!(version.pre.instantiate_async(&mut store));
            computing.measure(made, &turns).await
        };
        let instance = made.map_err(|error| match error.is::<PoolConcurrencyLimitError>() {
            true => {
                // Some that could be used are those of this app.
                self.drop_idle();
                CallError::HostBusy(format!("{:#}", error.root_cause()))
            }
            false => failed(error),
        })?;
        /// The functions of an optional export.
        macro_rules! load {
            ($export:ident) => {
                match &version.exports.$export {
                    Some(indices) => Some(indices.load(&mut store, &instance).map_err(failed)?),
                    None => None,
                }
            };
        }
        let receive_packed = match &version.exports.receive_packed {
            Some(index) => Some(instance.get_typed_func(&mut store, index).map_err(failed)?),
            None => None,
        };
        let direct = match &version.exports.direct {
            Some(direct) => Some(DirectHandler {
                open: instance.get_typed_func(&mut store, direct.open).map_err(failed)?,
                closed: instance.get_typed_func(&mut store, direct.closed).map_err(failed)?,
            }),
            None => None,
        };
        Ok(Box::new(Instance {
            receive_packed,
            direct,
            handler: version.exports.handler.load(&mut store, &instance).map_err(failed)?,
            timer_handler: load!(timer_handler),
            subscription_handler: load!(subscription_handler),
            request_handler: load!(request_handler),
            resumption_handler: load!(resumption_handler),
            self_test: load!(self_test),
            migration: load!(migration),
            store,
            calls: 0,
            _alive: alive,
        }))
    }

    fn put_back(&self, instance: Box<Instance>, version: &Version) {
        let mut idle = self.idle.lock();
        // Check this under the lock: the thread that retires the version afterwards then finds the instance here.
        if !version.is_retired() && !self.closed.load(Ordering::Acquire) {
            idle.push(instance);
        }
    }
}

/// Nothing closes the semaphores.
fn never_closed(_: AcquireError) -> CallError {
    CallError::HostBusy("the app is gone".to_owned())
}

fn begin(store: &mut Store<InstanceState>, context: CallContext) {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    let unlogged = state.log.renew(context.setup.limits.log_lines_per_call);
    if !unlogged.is_nothing() {
        say_unlogged(&context, state, unlogged);
    }
    // Errors of an earlier call in this instance do not concern this call.
    state.memory.exceeded = false;
    state.call = Some(context);
}

/// Say what the previous call in this instance has not logged.
#[cold]
fn say_unlogged(context: &CallContext, state: &InstanceState, unlogged: Unlogged) {
    let suppressed = unlogged.left_out();
    if suppressed > 0 {
        tracing::warn!(app = %context.app.name, version = %state.version.id, suppressed, "a call logged more than `log_lines_per_call`");
    }
    state.stderr.log_deferred();
}

impl Lease<'_> {
    /// The call returned: undo what it left open, wake the connections that it wrote to, and give the instance back.
    pub(super) async fn finish(mut self) {
        let state = self.instance.store.data_mut();
        if state.sql.has_open_transactions() {
            // Another call may compute meanwhile.
            state.computing.end();
            Box::pin(state.sql.end_call()).await;
        }
        self.put_back();
    }

    /// The same for a call that left nothing open.
    pub(super) fn put_back(mut self) {
        let state = self.instance.store.data_mut();
        state.computing.end();
        let max_calls = match state.call.take() {
            Some(context) => context.setup.limits.instance_calls,
            None => 0,
        };
        self.instance.calls += 1;
        if self.instance.calls < max_calls {
            self.pool.put_back(self.instance, self.version);
        }
    }
}

impl Alive {
    fn new(live: &Arc<AtomicU32>) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(live))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
