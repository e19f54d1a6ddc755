//! The functions that a module exports: what each takes, and what it may return.

use hassock_frames::Packed;

use wasmtime::Store;

use super::pool::Instance;
use super::{CallContext, InstanceState};
use crate::app::versions::{CallOrder, Exported};
use crate::config::AppLimits;
use crate::module::CallError;
use crate::module::bindings::exports::hassock::host::handler::{Acceptance, Closing, Refusal, Request};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::message;
use crate::text::log_line;

/// One exported function with its arguments.
pub(super) trait Export: Send {
    /// Which function it is.
    const EXPORTED: Exported;

    /// Whether the host owes the module the call (invariant 2): it is not given up when the host stops.
    const IS_OWED: bool = false;

    /// If first calls fail, no client gets in, however many other calls succeed.
    const ORDER: CallOrder = CallOrder::Later;

    /// Whether the call waits for an instance for as long as it takes. Others fail after `instance_wait`.
    const WAITS: bool = Self::IS_OWED;

    /// What the function returns.
    type Returned: Send;

    /// What the caller gets.
    type Value: Send;

    /// Call the function. An instance without an optional export returns at once.
    fn call(self, instance: &mut Instance) -> impl Future<Output = wasmtime::Result<Self::Returned>> + Send;

    /// Find a failure in what the function returned.
    fn check(returned: Self::Returned, limits: &AppLimits) -> Result<Self::Value, CallError>;

    /// Whether the module failed. An error that it returned is usually an answer.
    fn is_failure(error: &CallError) -> bool {
        error.is_failure()
    }
}

/// A function that a version which cannot wait has on the stack of the caller.
pub(super) trait DirectExport: Export {
    /// Call the function. None if the instance has no such function.
    fn call_directly(self, instance: &mut Instance) -> Option<wasmtime::Result<Self::Returned>>;
}

/// `handler.open`
pub(super) struct Open<'a> {
    pub(super) connection: u64,
    pub(super) request: &'a Request,
}

/// `packed-handler.receive-packed`, or `handler.receive`
pub(super) struct Receive<'a> {
    pub(super) connection: u64,
    pub(super) messages: &'a Packed,
}

/// `handler.closed`
#[derive(Clone, Copy)]
pub(super) struct Closed<'a> {
    pub(super) connection: u64,
    pub(super) closing: &'a Closing,
}

/// `timer-handler.connection-timer`
pub(super) struct ConnectionTimer<'a> {
    pub(super) connection: u64,
    pub(super) name: &'a str,
    pub(super) payload: &'a [u8],
}

/// `timer-handler.app-timer`
#[derive(Clone, Copy)]
pub(super) struct AppTimer<'a> {
    pub(super) name: &'a str,
    pub(super) payload: &'a [u8],
}

/// `subscription-handler.subscribe`
pub(super) struct Subscribe<'a> {
    pub(super) connection: u64,
    pub(super) topic: &'a str,
}

/// `request-handler.request`
pub(super) struct Ask<'a> {
    pub(super) connection: u64,
    pub(super) message: &'a Message,
}

/// `resumption-handler.resumed`
pub(super) struct Resumed<'a> {
    pub(super) connection: u64,
    pub(super) request: &'a Request,
}

/// `migration.migrate`
pub(super) struct Migrate<'a> {
    pub(super) from: &'a str,
    pub(super) attachment: &'a [u8],
}

/// `self-test.check`
pub(super) struct Check;

impl Export for Open<'_> {
    const EXPORTED: Exported = Exported::Open;
    const ORDER: CallOrder = CallOrder::First;
    type Returned = Result<Acceptance, Refusal>;
    type Value = Self::Returned;

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        instance.handler.call_open(&mut instance.store, self.connection, self.request).await
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        Ok(returned)
    }
}

impl Export for Receive<'_> {
    const EXPORTED: Exported = Exported::Receive;
    type Returned = Result<(), String>;
    type Value = ();

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let store = &mut instance.store;
        let Some(receive) = instance.receive_packed else {
            let messages: Vec<_> = self.messages.iter().map(message).collect();
            return instance.handler.call_receive(store, self.connection, &messages).await;
        };
        let is_quick = store.data().version.pace.is_quick();
        let room = store.data_mut().call.as_mut().filter(|_| is_quick).map_or(0, CallContext::promise_room);
        let arguments = (self.connection, self.messages.as_bytes(), room);
        let called = receive.call_async(&mut *store, arguments).await;
        received(store, called)
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        without_error(returned)
    }
}

impl Export for Closed<'_> {
    const EXPORTED: Exported = Exported::Closed;
    const IS_OWED: bool = true;
    type Returned = ();
    type Value = ();

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        instance.handler.call_closed(&mut instance.store, self.connection, self.closing).await
    }

    fn check((): Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        Ok(())
    }
}

impl Export for ConnectionTimer<'_> {
    const EXPORTED: Exported = Exported::ConnectionTimer;
    type Returned = Result<(), String>;
    type Value = ();

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(handler) = &instance.timer_handler else { return Ok(Ok(())) };
        handler.call_connection_timer(&mut instance.store, self.connection, self.name, self.payload).await
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        without_error(returned)
    }
}

impl Export for AppTimer<'_> {
    const EXPORTED: Exported = Exported::AppTimer;
    // The timer has fired, so it is not set any more.
    const WAITS: bool = true;
    type Returned = Result<(), String>;
    type Value = ();

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(handler) = &instance.timer_handler else { return Ok(Ok(())) };
        handler.call_app_timer(&mut instance.store, self.name, self.payload).await
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        without_error(returned)
    }
}

impl Export for Subscribe<'_> {
    const EXPORTED: Exported = Exported::Subscribe;
    type Returned = Option<Result<(), String>>;
    // None if the version has no such function.
    type Value = Self::Returned;

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(handler) = &instance.subscription_handler else { return Ok(None) };
        handler.call_subscribe(&mut instance.store, self.connection, self.topic).await.map(Some)
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        Ok(returned)
    }
}

impl Export for Ask<'_> {
    const EXPORTED: Exported = Exported::Request;
    type Returned = Option<Result<Message, String>>;
    // None if the version has no such function.
    type Value = Self::Returned;

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(handler) = &instance.request_handler else { return Ok(None) };
        handler.call_request(&mut instance.store, self.connection, self.message).await.map(Some)
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        Ok(returned)
    }
}

impl Export for Resumed<'_> {
    const EXPORTED: Exported = Exported::Resumed;
    type Returned = Result<(), String>;
    type Value = ();

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(handler) = &instance.resumption_handler else { return Ok(Ok(())) };
        handler.call_resumed(&mut instance.store, self.connection, self.request).await
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        without_error(returned)
    }
}

impl Export for Migrate<'_> {
    const EXPORTED: Exported = Exported::Migrate;
    type Returned = Result<Vec<u8>, String>;
    type Value = Vec<u8>;

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(migration) = &instance.migration else { return Ok(Ok(self.attachment.to_vec())) };
        migration.call_migrate(&mut instance.store, self.from, self.attachment).await
    }

    fn check(returned: Self::Returned, limits: &AppLimits) -> Result<Self::Value, CallError> {
        let attachment = without_error(returned)?;
        match attachment.len() <= limits.attachment_bytes.bytes() {
            true => Ok(attachment),
            false => Err(CallError::Returned(format!(
                "an attachment of {} bytes, more than `attachment_bytes` = {}",
                attachment.len(),
                limits.attachment_bytes
            ))),
        }
    }

    /// A refused attachment is a failure too: the version does not fit the connections that are open.
    fn is_failure(error: &CallError) -> bool {
        error.is_failure() || matches!(error, CallError::Returned(_))
    }
}

impl Export for Check {
    const EXPORTED: Exported = Exported::Check;
    type Returned = Result<(), String>;
    type Value = ();

    async fn call(self, instance: &mut Instance) -> wasmtime::Result<Self::Returned> {
        let Some(test) = &instance.self_test else { return Ok(Ok(())) };
        test.call_check(&mut instance.store).await
    }

    fn check(returned: Self::Returned, _: &AppLimits) -> Result<Self::Value, CallError> {
        without_error(returned)
    }
}

impl DirectExport for Open<'_> {
    fn call_directly(self, instance: &mut Instance) -> Option<wasmtime::Result<Self::Returned>> {
        let open = instance.direct.as_ref()?.open;
        Some(open.call(&mut instance.store, (self.connection, self.request)).map(|(returned,)| returned))
    }
}

impl DirectExport for Receive<'_> {
    fn call_directly(self, instance: &mut Instance) -> Option<wasmtime::Result<Self::Returned>> {
        let receive = instance.receive_packed?;
        let store = &mut instance.store;
        let room = store.data_mut().call.as_mut().map_or(0, CallContext::promise_room);
        let called = receive.call(&mut *store, (self.connection, self.messages.as_bytes(), room));
        Some(received(store, called))
    }
}

impl DirectExport for Closed<'_> {
    fn call_directly(self, instance: &mut Instance) -> Option<wasmtime::Result<Self::Returned>> {
        let closed = instance.direct.as_ref()?.closed;
        Some(closed.call(&mut instance.store, (self.connection, self.closing)))
    }
}

/// What follows from the result of `receive-packed`: the messages in it are queued.
fn received(
    store: &mut Store<InstanceState>,
    called: wasmtime::Result<(Result<Vec<u8>, String>,)>,
) -> wasmtime::Result<Result<(), String>> {
    match called?.0 {
        Ok(replies) => store.data_mut().queue_replies(replies).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// The text of an error is the module's, which may have put anything into it.
fn without_error<T>(returned: Result<T, String>) -> Result<T, CallError> {
    returned.map_err(|text| CallError::Returned(log_line(&text).into_owned()))
}
