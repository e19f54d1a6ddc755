//! One call of a module, and what follows from its result.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::CallContext;
use super::export::Export;
use super::failure::{classify, log};
use crate::app::connection::Connection;
use crate::app::observer::{CallProbe, Observer};
use crate::app::versions::{self, Version};
use crate::app::{App, Setup};
use crate::lazy_timeout::lazy_timeout;
use crate::module::{CallError, FailedCall, TICK};

/// A call of the version that serves a connection or the app itself.
pub(super) struct Call<'a> {
    app: &'a Arc<App>,
    version: &'a Arc<Version>,
    connection: Option<&'a Arc<Connection>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(app: &'a Arc<App>, version: &'a Arc<Version>, connection: Option<&'a Arc<Connection>>) -> Self {
        Self { app, version, connection }
    }

    /// Make the call and count it. A call that failed is logged, and may cause a rollback of its version.
    pub(super) async fn serve<E: Export>(self, export: E) -> Result<E::Value, FailedCall> {
        let (result, time) = self.attempt(export).await;
        self.conclude::<E>(result, time)
    }

    /// Make the call. The caller counts it.
    pub(super) async fn attempt<E: Export>(&self, export: E) -> (Result<E::Value, CallError>, Option<Duration>) {
        let setup = self.app.setup();
        run(export, self.app, &setup, self.version, self.connection, self.app.context.observer.as_ref()).await
    }

    /// Count a call that has ended after `time`, if it began.
    pub(super) fn conclude<E: Export>(
        self,
        result: Result<E::Value, CallError>,
        time: Option<Duration>,
    ) -> Result<E::Value, FailedCall> {
        let version = self.version;
        if let Some(time) = time {
            version.stats.count(E::EXPORTED, time);
            // A version that cannot wait has waited for an instance, or has computed, which its ticks tell.
            if version.may_wait && time >= TICK {
                version.pace.call_is_long();
            }
        }
        match result {
            Ok(value) => {
                version.health.call_succeeded(E::ORDER);
                Ok(value)
            }
            Err(error) => Err(self.failed::<E>(error, time)),
        }
    }

    fn failed<E: Export>(&self, error: CallError, time: Option<Duration>) -> FailedCall {
        let Self { app, version, connection } = *self;
        let connection = connection.map(|connection| connection.id);
        let failed = FailedCall { version: Arc::clone(&version.id), error };
        let name = E::EXPORTED.name();
        log(name, app, connection, &failed);
        version.stats.count_error(E::EXPORTED, &failed.error);
        if let Some(sim) = app.context.simulation() {
            sim.call_failed(&app.name, name, connection, &failed);
        }
        if E::is_failure(&failed.error) {
            version.stats.count_failure();
            if let Some(reason) = version.health.call_failed(E::ORDER) {
                versions::take_back(app, version, reason);
            }
        } else if time.is_some() && !failed.error.is_busy() {
            version.health.call_succeeded(E::ORDER);
        }
        failed
    }
}

/// Call one exported function in a leased instance of a version, within `call_timeout`. Returns the result, and how long
/// the call took if an instance was free for it.
pub(super) async fn run<E: Export>(
    export: E,
    app: &Arc<App>,
    setup: &Arc<Setup>,
    version: &Arc<Version>,
    connection: Option<&Arc<Connection>>,
    observer: Option<&Observer>,
) -> (Result<E::Value, CallError>, Option<Duration>) {
    let probe = CallProbe::begin(observer, app, E::EXPORTED, connection);
    let began = Instant::now();
    let context = CallContext::new(Arc::clone(app), Arc::clone(setup), connection.cloned(), probe.observer());
    let longest_wait = (!E::WAITS).then_some(setup.limits.instance_wait);
    let out_of_time = (!E::IS_OWED).then_some(&app.context.out_of_time);
    let mut lease = match unless_stopping(pin!(setup.pool.lease(version, context, longest_wait)), out_of_time).await {
        Some(Ok(lease)) => lease,
        Some(Err(error)) => {
            let result = Err(error);
            probe.ended(&result);
            return (result, None);
        }
        None => return (Err(CallError::Stopping), None),
    };
    if let Some(error) = probe.begun(&version.id).filter(|error| !(E::WAITS && error.is_busy())) {
        return (Err(error), Some(began.elapsed()));
    }
    version.pace.begin_call();
    let limit = setup.limits.call_timeout;
    let computing = Arc::clone(&lease.instance.store.data().computing);
    let called = {
        let call = pin!(export.call(&mut lease.instance));
        let call = pin!(computing.measure(call, &setup.turns));
        let call = pin!(unless_stopping(call, out_of_time));
        lazy_timeout(limit.get(), call).await
    };
    let result = match called {
        Ok(Some(Ok(returned))) => {
            lease.finish().await;
            E::check(returned, &setup.limits)
        }
        Ok(Some(Err(error))) => Err(classify(&lease, &setup.limits, &error)),
        Ok(None) => Err(CallError::Stopping),
        Err(_) => Err(CallError::Timeout(limit)),
    };
    probe.ended(&result);
    (result, Some(began.elapsed()))
}

/// Wait for a step of a call unless the host stops and is out of time. None if it is. A step that does not wait costs
/// nothing here.
///
/// The future is pinned by the caller, as that of [`lazy_timeout`].
async fn unless_stopping<T>(
    mut call: Pin<&mut impl Future<Output = T>>,
    out_of_time: Option<&CancellationToken>,
) -> Option<T> {
    let Some(out_of_time) = out_of_time else { return Some(call.await) };
    if out_of_time.is_cancelled() {
        return None;
    }
    let mut stopping = None;
    poll_fn(|context| {
        if let Poll::Ready(returned) = call.as_mut().poll(context) {
            return Poll::Ready(Some(returned));
        }
        // Boxed, because each connection would keep room for it.
        let stopping = stopping.get_or_insert_with(|| Box::pin(out_of_time.cancelled()));
        stopping.as_mut().poll(context).map(|()| None)
    })
    .await
}
