//! What modules import: one file for each interface in `wit/`, implemented on the [`InstanceState`] of an instance.

mod cluster;
mod connections;
mod log;
mod settings;
mod sql;
mod timers;
mod topics;
mod waiting;

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::app::call::InstanceState;
use crate::module::Membership;
use crate::module::bindings::CompleteModule;
use crate::module::bindings::hassock::host::{about, types};

use crate::app::connection::Connection;
pub(crate) use sql::SqlContext;

/// What a call of a component may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Nothing.
    Never,
    /// A database or a clock.
    Alone,
    /// These, and the cluster.
    InCluster,
}

/// What a call of a component may wait for, if its host is in a cluster or not.
pub(crate) fn waits(component: &wasmtime::component::Component, membership: Membership) -> Waits {
    match membership {
        Membership::Cluster if cluster::may_wait(component) => Waits::InCluster,
        _ if waiting::may_wait(component) => Waits::Alone,
        _ => Waits::Never,
    }
}

/// Add everything that the host can give to a module that [may wait](may_wait).
///
/// # Errors
/// If two interfaces have the same name.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    CompleteModule::add_to_linker::<_, HasSelf<InstanceState>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Add everything that the host can give to a module that may wait for the cluster.
///
/// # Errors
/// If two interfaces have the same name.
pub(super) fn linker_of_cluster(engine: &Engine) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = linker(engine)?;
    cluster::wait_for_cluster(&mut linker)?;
    Ok(linker)
}

/// Add everything that the host can give to a module that cannot wait.
///
/// # Errors
/// If two interfaces have the same name.
pub(super) fn linker_without_waiting(engine: &Engine) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = linker(engine)?;
    waiting::never_wait(&mut linker)?;
    Ok(linker)
}

impl types::Host for InstanceState {}

impl about::Host for InstanceState {
    fn host(&mut self) -> String {
        crate::VERSION.to_owned()
    }
}

impl InstanceState {
    /// The connection with that id, if it belongs to this app. Most calls use the connection of the call.
    fn connection(&self, id: u64) -> Option<Arc<Connection>> {
        let call = self.call.as_ref()?;
        match &call.connection {
            Some(own) if own.id == id => Some(Arc::clone(own)),
            _ => call.app.connections.get(id),
        }
    }

    /// Make the connection's session check its outbox when this call ends or waits. The connection of the call itself
    /// needs no wakeup: its session runs the call, and checks the outbox when the call ends or waits.
    fn mark_dirty(&mut self, connection: Arc<Connection>) {
        let Some(call) = &mut self.call else { return };
        let is_known = |known: Option<&Arc<Connection>>| known.is_some_and(|known| known.id == connection.id);
        if !is_known(call.connection.as_ref()) && !is_known(call.dirty.last()) {
            call.dirty.push(connection);
        }
    }
}
