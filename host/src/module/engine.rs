//! The wasmtime engine: how modules are compiled, where instances are stored, and how computing time is measured.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, PoolingAllocationConfig};

use super::Binary;
use super::cache::CodeCache;
use super::compile::Compiler;
use crate::config;

/// The unit in which computing time is measured. A module that computes for longer than a tick yields to other tasks,
/// and a module that uses up its ticks is stopped.
pub const TICK: Duration = Duration::from_millis(10);

/// Address space of one linear memory: all that a 32-bit address can reach. Then an access needs no bounds check, which
/// makes modules a quarter faster. The memory that a module can use is bounded elsewhere.
const RESERVATION: u64 = 4 << 30;

/// The same, unless an app may use more, if the process may not reserve that much address space.
const SMALL_RESERVATION: usize = 64 << 20;

/// The most address space for all linear memories. A process has 128 TiB.
const MAX_ADDRESS_SPACE: u64 = 64 << 40;

/// Core instances, memories and tables of one component. Rust needs 3, 1 and 2; JavaScript and Python need a few more.
const CORE_INSTANCES_PER_COMPONENT: u32 = 32;
const MEMORIES_PER_COMPONENT: u32 = 2;
const TABLES_PER_COMPONENT: u32 = 8;

/// Compiles components and meters their calls. It is cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    compiler: Arc<Compiler>,
    max_memory: usize,
}

impl Engine {
    /// An engine for the apps of `config`, with its cache of compiled code. If the cache cannot be used, this is logged
    /// and the engine works without it.
    ///
    /// # Errors
    /// If the process may not reserve the address space for `limits.max_instances`.
    pub fn new(config: &config::Config) -> wasmtime::Result<Self> {
        let memory = config.apps.values().map(|app| app.limits.memory.bytes()).max().unwrap_or(0);
        let memory = memory.max(SMALL_RESERVATION);
        let instances = config.limits.max_instances;
        let fits = u64::from(instances) * u64::from(MEMORIES_PER_COMPONENT) * RESERVATION <= MAX_ADDRESS_SPACE;
        let engine = match fits.then(|| wasmtime::Engine::new(&settings(instances, memory, RESERVATION))) {
            Some(Ok(engine)) => engine,
            _ => {
                let engine = wasmtime::Engine::new(&settings(instances, memory, memory as u64))?;
                tracing::info!(
                    "modules run slower, because the process cannot reserve 4 GiB of addresses for each of `limits.max_instances`"
                );
                engine
            }
        };
        start_clock(&engine);
        let compiler = Arc::new(Compiler::new(engine.clone(), CodeCache::open(config, &engine)));
        Ok(Self { engine, compiler, max_memory: memory })
    }

    /// The maximum size of one linear memory, in bytes.
    pub fn max_memory(&self) -> usize {
        self.max_memory
    }

    /// Get a component from the cache or by compiling it. This takes up to many seconds, so call it off the runtime's
    /// threads, and in `run_niced` if the host serves clients.
    ///
    /// # Errors
    /// If it does not compile.
    pub fn compile(&self, binary: &Binary) -> wasmtime::Result<Component> {
        self.compiler.component(binary).map(|(component, _)| component)
    }

    /// The wasmtime engine.
    pub fn get(&self) -> &wasmtime::Engine {
        &self.engine
    }
}

fn settings(instances: u32, memory: usize, reservation: u64) -> Config {
    let mut settings = Config::new();
    settings
        // Both costs were measured: concurrency support triples the cost of a call, and epochs cost 1 to 2 %.
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_reservation(reservation)
        .allocation_strategy(pool(instances, memory));
    settings
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

/// Advance the epoch once per tick, from a separate thread: a runtime would not do it while all its threads compute.
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
        tracing::error!(%error, "cannot start the thread of the epoch clock, so endless loops in modules will not be stopped");
    }
}
