//! Compiling without getting in the way of serving: from the cache where possible, and otherwise on threads
//! that step back for all others if the caller does.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmtime::component::Component;

use super::cache::CodeCache;
use super::version_id;

/// A thread at 0 gets nine times as much. At the lowest priority, 19, it would be 68 times, which disturbs others a little
/// less; but a host that is overloaded could not take the version that mends it for minutes.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Makes components from bytes.
pub(super) struct Compiler {
    engine: wasmtime::Engine,
    cache: Option<CodeCache>,
    /// Whose turn it is. A component keeps all cores busy by itself, and two at a time take twice the memory.
    turn: Mutex<()>,
}

/// Where a component came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Compiled,
    Cache,
}

impl Compiler {
    pub(super) fn new(engine: wasmtime::Engine, cache: Option<CodeCache>) -> Self {
        Self { engine, cache, turn: Mutex::default() }
    }

    /// Load or compile a component. Blocks until it is there.
    pub(super) fn component(&self, bytes: &[u8]) -> wasmtime::Result<(Component, Origin)> {
        let Some(cache) = &self.cache else {
            let _turn = self.turn.lock();
            return Ok((self.compile(bytes)?, Origin::Compiled));
        };
        let key = CodeCache::key(bytes);
        if let Some(component) = self.load(cache, &key, bytes) {
            return Ok((component, Origin::Cache));
        }
        let _turn = self.turn.lock();
        // While this one waited, another app may have compiled the same module.
        if let Some(component) = self.load(cache, &key, bytes) {
            return Ok((component, Origin::Cache));
        }
        let component = self.compile(bytes)?;
        cache.store(&key, &component);
        Ok((component, Origin::Compiled))
    }

    fn load(&self, cache: &CodeCache, key: &super::cache::Key, bytes: &[u8]) -> Option<Component> {
        let begin = Instant::now();
        let component = cache.load(&self.engine, key)?;
        let millis = begin.elapsed().as_millis();
        tracing::debug!(version = %version_id(bytes), bytes = bytes.len(), millis, "loaded compiled code from the cache");
        Some(component)
    }

    fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        let begin = Instant::now();
        // Wasmtime compiles the functions of a component with rayon, which stays in the pool that it is called in.
        let component = pool()?.install(|| Component::from_binary(&self.engine, bytes))?;
        let millis = begin.elapsed().as_millis();
        tracing::info!(version = %version_id(bytes), bytes = bytes.len(), millis, "compiled");
        Ok(component)
    }
}

/// Run `work` on a thread that steps back for all others, and wait for it. A thread of its own, because a
/// thread may lower its priority but not raise it again.
///
/// # Errors
/// If there is no such thread.
pub(crate) fn run_niced<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let work = || {
            lower_priority();
            work()
        };
        let thread = thread::Builder::new().name("compile".into()).spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// Threads with the priority of the calling one, as many as there are cores, for one component: an idle host has none.
fn pool() -> wasmtime::Result<ThreadPool> {
    // On Linux a thread inherits the priority of the one that makes it.
    let pool = ThreadPoolBuilder::new().thread_name(|index| format!("compile-{index}")).build();
    pool.map_err(|error| wasmtime::Error::new(error).context("there are no threads to compile on"))
}

/// Lower the priority of the calling thread: on Linux, each thread has one of its own. A host that was started at a
/// lower one keeps it.
#[cfg(target_os = "linux")]
fn lower_priority() {
    let lower = rustix::process::getpriority_process(None).map_or(NICE, |nice| nice.max(NICE));
    if let Err(error) = rustix::process::setpriority_process(None, lower) {
        tracing::debug!("a thread cannot lower its priority: {error}");
    }
}

/// ExternalWork the priority is that of the whole process.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::config::Config;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[cfg(target_os = "linux")]
    #[test]
    fn compiling_steps_back_and_the_caller_does_not() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let all = || pool().unwrap().broadcast(|_| priority());
        assert_eq!(run_niced(priority).unwrap(), NICE.max(before));
        assert!(run_niced(all).unwrap().iter().all(|found| *found == NICE.max(before)));
        assert!(all().iter().all(|found| *found == before));
        assert_eq!(priority(), before);
    }

    #[test]
    fn what_is_asked_for_twice_at_the_same_time_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.cache.directory = Some(folder.path().to_owned());
        let engine = wasmtime::Engine::default();
        let compiler = Compiler::new(engine.clone(), CodeCache::open(&config, &engine));
        let start = Barrier::new(4);
        let origin = || {
            start.wait();
            compiler.component(EMPTY).unwrap().1
        };
        let origins: Vec<Origin> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(origin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(origins.iter().filter(|origin| **origin == Origin::Compiled).count(), 1, "{origins:?}");
    }

    #[test]
    fn what_does_not_compile_says_why() {
        let compiler = Compiler::new(wasmtime::Engine::default(), None);
        let error = compiler.component(&[EMPTY, &[0xff]].concat()).unwrap_err();
        assert!(format!("{error:#}").contains("malformed section id"), "{error:#}");
    }
}
