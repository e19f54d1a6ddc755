//! The wasmtime engine: how modules are compiled, where instances live, how computing is measured.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, PoolingAllocationConfig};

use super::cache::CodeCache;
use super::compile::Compiler;
use crate::config;

/// The unit in which computing is measured: a module that computes for longer yields to others, and one
/// that uses up its ticks is stopped.
pub const TICK: Duration = Duration::from_millis(10);

/// Address space of one linear memory, unless an app is allowed more. Wasmtime's 4 GiB would make
/// bounds checks free, but a thousand of them do not fit into the address space of a process.
const MEMORY_RESERVATION: usize = 64 << 20;

/// Core instances, memories and tables of one component: Rust needs 3, 1 and 2, JavaScript and Python a
/// few more.
const CORE_INSTANCES_PER_COMPONENT: u32 = 32;
const MEMORIES_PER_COMPONENT: u32 = 2;
const TABLES_PER_COMPONENT: u32 = 8;

/// Compiles components and meters their calls. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    compiler: Arc<Compiler>,
    max_memory: usize,
}

impl Engine {
    /// An engine for the apps of `config`, with its cache of compiled code. A cache that cannot be used is
    /// logged and done without.
    ///
    /// # Errors
    /// If the process may not reserve the address space for `limits.max_instances`.
    pub fn new(config: &config::Config) -> wasmtime::Result<Self> {
        let memory = config.apps.values().map(|app| app.limits.memory.bytes()).max().unwrap_or(0);
        let memory = memory.max(MEMORY_RESERVATION);
        let mut settings = Config::new();
        settings
            // Both are measured: concurrency support triples the cost of a call, and epochs cost 1 to 2 %.
            .concurrency_support(false)
            .epoch_interruption(true)
            .memory_reservation(memory as u64)
            .allocation_strategy(pool(config.limits.max_instances, memory));
        let engine = wasmtime::Engine::new(&settings)?;
        start_clock(&engine);
        let compiler = Arc::new(Compiler::new(engine.clone(), CodeCache::open(config, &engine)));
        Ok(Self { engine, compiler, max_memory: memory })
    }

    /// Bytes of one linear memory that there is room for.
    pub fn max_memory(&self) -> usize {
        self.max_memory
    }

    /// Make a component: from the cache, or by compiling it. Takes up to many seconds: call it off the runtime's
    /// threads, and [`run_niced`](super::run_niced) if the host serves.
    ///
    /// # Errors
    /// If it does not compile.
    pub fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        self.compiler.component(bytes).map(|(component, _)| component)
    }

    /// The engine as wasmtime knows it.
    pub fn get(&self) -> &wasmtime::Engine {
        &self.engine
    }
}

fn pool(instances: u32, memory: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memory_size(memory)
        // Without this, a reused slot is unmapped and faulted in again for every instance.
        .linear_memory_keep_resident(64 << 10);
    pool
}

/// Advance the epoch once a tick, from a thread of its own: a runtime whose threads all compute would not.
fn start_clock(engine: &wasmtime::Engine) {
    let engine = engine.weak();
    let clock = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    if let Err(error) = thread::Builder::new().name("epoch".into()).spawn(clock) {
        tracing::error!(%error, "no thread for the epoch clock: endless loops in modules will not be stopped");
    }
}
