//! Modules that never wait. A call that may wait for a database or a clock runs on a stack of its own, so that other tasks
//! can run meanwhile; one that cannot wait does without, which costs less.
//!
//! Every Rust module imports functions of WASI that wait in general, such as those that flush standard output. With
//! what the host gives to a module they are always ready at once, unless the module also imports clocks or sockets.

use futures_util::FutureExt;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, Resource, ResourceType};
use wasmtime::{StoreContextMut, format_err};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError};

use crate::app::call::InstanceState;

/// The version of the interfaces that the crate `wasmtime-wasi` adds.
const POLL: &str = "wasi:io/poll@0.2.12";
const STREAMS: &str = "wasi:io/streams@0.2.12";

/// The functions of `wasi:io/streams` that wait and that [`never_wait`] does not replace.
const WAITING_STREAMS: [&str; 4] = [
    "[method]input-stream.blocking-read",
    "[method]input-stream.blocking-skip",
    "[method]output-stream.blocking-splice",
    "[method]output-stream.blocking-write-zeroes-and-flush",
];

/// Whether a call of the component may wait.
pub(crate) fn may_wait(component: &Component) -> bool {
    let engine = component.engine();
    component.component_type().imports(engine).any(|(name, import)| {
        let interface = name.split('@').next().unwrap_or(name);
        let has = |waits: &dyn Fn(&str) -> bool| match &import.ty {
            ComponentItem::ComponentInstance(instance) => instance.exports(engine).any(|(name, _)| waits(name)),
            _ => true,
        };
        match interface {
            "hassock:host/sql" | "wasi:filesystem/types" => true,
            "wasi:clocks/monotonic-clock" => has(&|function| function.starts_with("subscribe-")),
            "wasi:io/streams" => has(&|function| WAITING_STREAMS.contains(&function)),
            _ => interface.starts_with("wasi:sockets/"),
        }
    })
}

/// Replace the functions of WASI that wait, for components that [cannot wait](may_wait).
///
/// # Errors
/// If the linker does not have them.
pub(super) fn never_wait(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut io = linker.instance(POLL)?;
    io.func_wrap("[method]pollable.ready", |mut store, (pollable,): (Resource<DynPollable>,)| {
        let ready = poll::HostPollable::ready(store.data_mut().ctx().table, pollable);
        Ok((at_once(ready)?,))
    })?;
    io.func_wrap("[method]pollable.block", |mut store, (pollable,): (Resource<DynPollable>,)| {
        at_once(poll::HostPollable::block(store.data_mut().ctx().table, pollable))
    })?;
    io.func_wrap("poll", |mut store, (pollables,): (Vec<Resource<DynPollable>>,)| {
        Ok((at_once(poll::Host::poll(store.data_mut().ctx().table, pollables))?,))
    })?;
    let mut io = linker.instance(STREAMS)?;
    io.func_wrap("[method]output-stream.blocking-flush", |mut store, (stream,): (Resource<DynOutputStream>,)| {
        let flushed = streams::HostOutputStream::blocking_flush(store.data_mut().ctx().table, stream).now_or_never();
        stream_result(&mut store, flushed)
    })?;
    io.func_wrap(
        "[method]output-stream.blocking-write-and-flush",
        |mut store, (stream, bytes): (Resource<DynOutputStream>, Vec<u8>)| {
            let table = store.data_mut().ctx().table;
            let written = streams::HostOutputStream::blocking_write_and_flush(table, stream, bytes).now_or_never();
            stream_result(&mut store, written)
        },
    )?;
    io.resource("output-stream", ResourceType::host::<DynOutputStream>(), |mut store, number| {
        let stream = Resource::new_own(number);
        at_once(streams::HostOutputStream::drop(store.data_mut().ctx().table, stream))
    })?;
    io.resource("input-stream", ResourceType::host::<DynInputStream>(), |mut store, number| {
        let stream = Resource::new_own(number);
        at_once(streams::HostInputStream::drop(store.data_mut().ctx().table, stream))
    })?;
    Ok(())
}

fn at_once<T>(result: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    result.now_or_never().unwrap_or_else(|| Err(would_wait()))
}

/// What a function of a stream returns: an error of the stream is a value for the module.
fn stream_result(
    store: &mut StoreContextMut<'_, InstanceState>,
    result: Option<Result<(), StreamError>>,
) -> wasmtime::Result<(Result<(), streams::StreamError>,)> {
    match result {
        Some(Ok(())) => Ok((Ok(()),)),
        Some(Err(error)) => {
            let table = store.data_mut().ctx().table;
            Ok((Err(streams::Host::convert_stream_error(table, error)?),))
        }
        None => Err(would_wait()),
    }
}

fn would_wait() -> wasmtime::Error {
    format_err!("the module waits for something that the host does not give to it")
}
