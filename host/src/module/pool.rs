//! The instances of a version: a bounded number, reused, and thrown away when something went wrong in one.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use wasmtime::Store;

use super::bindings::exports::hassock::host::{handler, timer_handler};
use super::state::{CallContext, State, on_tick};
use super::{CallError, Version};
use crate::app::App;

/// One live instance with its store.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    pub(super) handler: handler::Guest,
    pub(super) timer_handler: Option<timer_handler::Guest>,
    calls: u32,
}

/// The idle instances of a version, and how many more there may be.
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "an instance moves twice for each call")]
    idle: Mutex<Vec<Box<Instance>>>,
    free: Semaphore,
}

impl Pool {
    pub(super) fn new(instances: u32) -> Self {
        Self { idle: Mutex::default(), free: Semaphore::new(instances as usize) }
    }
}

/// An instance for one call. Unless the call is [`finished`](Lease::finish), the instance is thrown away
/// with the lease: after a trap or a dropped call it would refuse every further one.
pub(super) struct Lease<'a> {
    pub(super) instance: Box<Instance>,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Version {
    /// Take an idle instance, or make one, or wait until one is free.
    pub(super) async fn lease(&self, context: CallContext) -> Result<Lease<'_>, CallError> {
        let app = Arc::clone(&context.app);
        let permit = self.permit(&app).await?;
        let idle = self.pool.idle.lock().pop();
        let instance = match idle {
            Some(mut instance) => {
                instance.begin(context);
                instance
            }
            // Boxed, like all that is rare: its room would be kept for each connection.
            None => Box::pin(self.instantiate(&app, context)).await?,
        };
        Ok(Lease { instance, pool: &self.pool, _permit: permit })
    }

    async fn permit(&self, app: &App) -> Result<SemaphorePermit<'_>, CallError> {
        if let Ok(permit) = self.pool.free.try_acquire() {
            return Ok(permit);
        }
        let busy = || CallError::Busy { instances: app.limits.instances, wait: app.limits.instance_wait };
        match Box::pin(timeout(app.limits.instance_wait.get(), self.pool.free.acquire())).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    async fn instantiate(&self, app: &App, context: CallContext) -> Result<Box<Instance>, CallError> {
        let mut store = Store::new(self.pre.engine(), State::new(app, &self.id));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(on_tick);
        begin(&mut store, context);
        let failed = |error: wasmtime::Error| CallError::Instantiate(format!("{error:#}"));
        let instance = self.pre.instantiate_async(&mut store).await.map_err(failed)?;
        let handler = self.handler.load(&mut store, &instance).map_err(failed)?;
        let timer_handler = match &self.timer_handler {
            Some(indices) => Some(indices.load(&mut store, &instance).map_err(failed)?),
            None => None,
        };
        Ok(Box::new(Instance { store, handler, timer_handler, calls: 0 }))
    }
}

impl Instance {
    fn begin(&mut self, context: CallContext) {
        begin(&mut self.store, context);
    }
}

fn begin(store: &mut Store<State>, context: CallContext) {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    let suppressed = state.log.renew(context.app.limits.log_lines_per_call);
    if suppressed > 0 {
        tracing::warn!(app = %context.app.name, version = %state.version, suppressed, "a call logged more than `log_lines_per_call`");
    }
    // What an earlier call of this instance ran into says nothing about this one.
    state.memory.exceeded = false;
    state.call = Some(context);
}

impl Lease<'_> {
    /// The call returned: undo what it left open, wake whom it wrote to, and give the instance back.
    pub(super) async fn finish(mut self) {
        let state = self.instance.store.data_mut();
        let max_calls = match state.call.take() {
            Some(context) => context.app.limits.instance_calls,
            None => 0,
        };
        if state.sql.has_open_transactions() {
            Box::pin(state.sql.end_call()).await;
        }
        self.instance.calls += 1;
        if self.instance.calls < max_calls {
            self.pool.idle.lock().push(self.instance);
        }
    }
}
