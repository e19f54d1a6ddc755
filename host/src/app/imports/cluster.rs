//! Functions that wait in a cluster, and return at once without one. Only modules of a cluster need a stack of their own for them.

use std::future::Future;

use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::topics::page;
use crate::app::call::InstanceState;
use crate::app::{self, Publication};
use crate::module::bindings::hassock::host::topics::{Error, HistoryPage, Position, PublishOptions, Published};
use crate::module::bindings::hassock::host::types::Message;
use crate::module::payload;

const TOPICS: &str = "hassock:host/topics@0.1.0";

const WAITING: [&str; 2] = ["publish-with", "history"];

/// Whether a component imports a function that waits in a cluster.
pub(super) fn may_wait(component: &Component) -> bool {
    let engine = component.engine();
    component.component_type().imports(engine).any(|(name, import)| match &import.ty {
        ComponentItem::ComponentInstance(instance) if name == TOPICS => {
            instance.exports(engine).any(|(function, _)| WAITING.contains(&function))
        }
        _ => false,
    })
}

type Store<'a> = StoreContextMut<'a, InstanceState>;
type Waits<'a, T> = Box<dyn Future<Output = wasmtime::Result<(Result<T, Error>,)>> + Send + 'a>;

/// Replace them by functions that wait.
///
/// # Errors
/// If the linker does not have them.
pub(super) fn wait_for_cluster(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut topics = linker.instance(TOPICS)?;
    topics.func_wrap_async("publish-with", |store: Store<'_>, (topic, message, options)| -> Waits<'_, Published> {
        Box::new(async move { Ok((publish(store, topic, message, options).await,)) })
    })?;
    topics.func_wrap_async("history", |store: Store<'_>, (topic, since, limit)| -> Waits<'_, HistoryPage> {
        Box::new(async move { Ok((history(store, topic, since, limit).await,)) })
    })
}

async fn publish(
    mut store: Store<'_>,
    topic: String,
    message: Message,
    options: PublishOptions,
) -> Result<Published, Error> {
    let Some(call) = &mut store.data_mut().call else { return Err(Error::Unavailable) };
    call.expire_room();
    // The connections that have something to read do not wait for the cluster.
    call.dirty.drain(..).for_each(|connection| connection.wake());
    let app = std::sync::Arc::clone(&call.app);
    let options = app::PublishOptions::from(&options);
    let Publication { reached, position, is_duplicate } = app.publish(&topic, payload(&message), options).await?;
    Ok(Published { reached, position: position.map(Into::into), is_duplicate })
}

async fn history(
    mut store: Store<'_>,
    topic: String,
    since: Option<Position>,
    limit: u32,
) -> Result<HistoryPage, Error> {
    let Some(call) = &store.data_mut().call else { return Err(Error::NoHistory) };
    let app = std::sync::Arc::clone(&call.app);
    let found = app.history(&topic, since.map(Into::into), limit as usize).await?;
    found.map(page).ok_or(Error::NoHistory)
}
