//! Compiles modules without disturbing the running apps: from the cache where possible, and otherwise on threads with a
//! lower priority if the calling thread has one.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmtime::Strategy;
use wasmtime::component::Component;

use super::Binary;
use super::cache::CodeCache;
use crate::priority::Thread;

/// Makes components from bytes.
pub(super) struct Compiler {
    engine: wasmtime::Engine,
    /// What the engine compiles with, for the log.
    strategy: Strategy,
    cache: Option<CodeCache>,
    /// Allows one compilation at a time. A component keeps all cores busy by itself, and two at a time need twice the
    /// memory.
    turn: Mutex<()>,
}

/// Where a component came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Compiled,
    Cache,
}

impl Compiler {
    pub(super) fn new(engine: wasmtime::Engine, strategy: Strategy, cache: Option<CodeCache>) -> Self {
        Self { engine, strategy, cache, turn: Mutex::default() }
    }

    /// Load or compile a component. Blocks until it is ready.
    pub(super) fn component(&self, binary: &Binary) -> wasmtime::Result<(Component, Origin)> {
        let Some(cache) = &self.cache else {
            let _turn = self.turn.lock();
            return Ok((self.compile(binary)?, Origin::Compiled));
        };
        if let Some(component) = self.load(cache, binary) {
            return Ok((component, Origin::Cache));
        }
        let _turn = self.turn.lock();
        // While this thread waited, another app may have compiled the same module.
        if let Some(component) = self.load(cache, binary) {
            return Ok((component, Origin::Cache));
        }
        let component = self.compile(binary)?;
        cache.store(binary.digest(), &component);
        Ok((component, Origin::Compiled))
    }

    fn load(&self, cache: &CodeCache, binary: &Binary) -> Option<Component> {
        let begin = Instant::now();
        let component = cache.load(&self.engine, binary.digest())?;
        let millis = millis(begin.elapsed());
        tracing::debug!(version = %binary.version(), bytes = binary.bytes().len(), millis, "loaded compiled code from the cache");
        Some(component)
    }

    fn compile(&self, binary: &Binary) -> wasmtime::Result<Component> {
        let begin = Instant::now();
        // Wasmtime compiles the functions of a component with rayon, which uses the pool that it is called in.
        let component = pool()?.install(|| Component::from_binary(&self.engine, binary.bytes()))?;
        let (compiler, millis) = (name(self.strategy), millis(begin.elapsed()));
        tracing::info!(version = %binary.version(), bytes = binary.bytes().len(), compiler, millis, "compiled");
        Ok(component)
    }
}

/// The name of a compiler in the log.
fn name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Winch => "winch",
        Strategy::Cranelift | Strategy::Auto => "cranelift",
        _ => "other",
    }
}

/// As a number that a log has room for.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Run `work` on a thread with a lower priority, and wait for it. It needs its own thread, because a thread may lower
/// its priority but not raise it again.
///
/// # Errors
/// If the thread cannot be created.
pub(crate) fn run_niced<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let work = || {
            Thread::current().lower_priority();
            work()
        };
        let thread = thread::Builder::new().name("compile".into()).spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// Threads with the priority of the calling thread, one for each core, for one component. An idle host has no such
/// threads.
fn pool() -> wasmtime::Result<ThreadPool> {
    // On Linux, a thread inherits the priority of the thread that creates it.
    let pool = ThreadPoolBuilder::new().thread_name(|index| format!("compile-{index}")).build();
    pool.map_err(|error| wasmtime::Error::new(error).context("cannot start the threads that compile"))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::config::Config;
    #[cfg(target_os = "linux")]
    use crate::priority::LOW;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[cfg(target_os = "linux")]
    #[test]
    fn compiling_steps_back_and_the_caller_does_not() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let all = || pool().unwrap().broadcast(|_| priority());
        assert_eq!(run_niced(priority).unwrap(), LOW.max(before));
        assert!(run_niced(all).unwrap().iter().all(|found| *found == LOW.max(before)));
        assert!(all().iter().all(|found| *found == before));
        assert_eq!(priority(), before);
    }

    #[test]
    fn what_is_asked_for_twice_at_the_same_time_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.cache.directory = Some(folder.path().to_owned());
        let engine = wasmtime::Engine::default();
        let compiler = Compiler::new(engine.clone(), Strategy::Auto, CodeCache::open(&config, &engine));
        let start = Barrier::new(4);
        let origin = || {
            start.wait();
            compiler.component(&Binary::new(EMPTY.to_vec())).unwrap().1
        };
        let origins: Vec<Origin> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(origin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(origins.iter().filter(|origin| **origin == Origin::Compiled).count(), 1, "{origins:?}");
    }

    #[test]
    fn what_does_not_compile_says_why() {
        let compiler = Compiler::new(wasmtime::Engine::default(), Strategy::Auto, None);
        let error = compiler.component(&Binary::new([EMPTY, &[0xff]].concat())).unwrap_err();
        assert!(format!("{error:#}").contains("malformed section id"), "{error:#}");
    }
}
