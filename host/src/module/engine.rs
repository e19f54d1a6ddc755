//! The wasmtime engine: how modules are compiled, where instances are stored, and how computing time is measured.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Enabled, PoolingAllocationConfig, Strategy};

use super::Binary;
use super::cache::CodeCache;
use super::compile::Compiler;
use crate::config::{self, CompileMode};

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

/// Bytes of the linear memories, tables and stack of an idle slot that stay in RAM.
const KEPT_MEMORY: usize = 64 << 10;
const KEPT_TABLE: usize = 16 << 10;
const KEPT_STACK: usize = 16 << 10;

/// Compiles components and meters their calls. It is cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Compilers>);

/// Each compiler has an engine of its own, and a component belongs to the engine that compiled it.
struct Compilers {
    /// Winch, which compiles several times as fast. None for optimised code, and on processors that it does not know.
    quick: Option<Compiler>,
    /// Cranelift. A quick engine only makes it for components that Winch cannot compile, because each test of a module has
    /// an engine.
    thorough: OnceLock<Compiler>,
    config: config::Config,
}

/// Whether a host is in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It is alone.
    Alone,
    /// It is.
    Cluster,
}

impl Engine {
    /// An engine for the apps of `config`, with its cache of compiled code. If the cache cannot be used, this is logged
    /// and the engine works without it.
    ///
    /// # Errors
    /// If the process may not reserve the address space for `limits.max_instances`.
    pub fn new(config: &config::Config) -> wasmtime::Result<Self> {
        let quick = match config.overrides.compile {
            CompileMode::Optimized => None,
            CompileMode::Quick => compiler(config, Strategy::Winch).ok(),
        };
        let compilers = Compilers { quick, thorough: OnceLock::new(), config: config.clone() };
        if compilers.quick.is_none() {
            compilers.thorough()?;
        }
        Ok(Self(Arc::new(compilers)))
    }

    /// Whether the apps are those of a cluster.
    pub fn membership(&self) -> Membership {
        if self.0.config.cluster.is_some() { Membership::Cluster } else { Membership::Alone }
    }

    /// The maximum size of one linear memory, in bytes.
    pub fn max_memory(&self) -> usize {
        max_memory(&self.0.config)
    }

    /// Get a component from the cache or by compiling it. This takes up to many seconds, so call it off the runtime's
    /// threads, and in `run_niced` if the host serves clients.
    ///
    /// # Errors
    /// If it does not compile.
    pub fn compile(&self, binary: &Binary) -> wasmtime::Result<Component> {
        if let Some(quick) = &self.0.quick {
            match quick.component(binary) {
                Ok((component, _)) => return Ok(component),
                // Winch does not know all of WebAssembly. What is wrong with the component, the other compiler says too.
                Err(error) => tracing::debug!(%error, "the quick compiler cannot compile the module"),
            }
        }
        self.0.thorough()?.component(binary).map(|(component, _)| component)
    }
}

impl Compilers {
    fn thorough(&self) -> wasmtime::Result<&Compiler> {
        if let Some(compiler) = self.thorough.get() {
            return Ok(compiler);
        }
        let compiler = compiler(&self.config, Strategy::Cranelift)?;
        Ok(self.thorough.get_or_init(|| compiler))
    }
}

/// A compiler with an engine of its own.
fn compiler(config: &config::Config, strategy: Strategy) -> wasmtime::Result<Compiler> {
    let (instances, memory) = (config.limits.max_instances, max_memory(config));
    let fits = u64::from(instances) * u64::from(MEMORIES_PER_COMPONENT) * RESERVATION <= MAX_ADDRESS_SPACE;
    let engine = match fits.then(|| wasmtime::Engine::new(&settings(strategy, instances, memory, RESERVATION))) {
        Some(Ok(engine)) => engine,
        _ => {
            let engine = wasmtime::Engine::new(&settings(strategy, instances, memory, memory as u64))?;
            tracing::info!(
                "modules run slower, because the process cannot reserve 4 GiB of addresses for each of `limits.max_instances`"
            );
            engine
        }
    };
    start_clock(&engine);
    Ok(Compiler::new(engine.clone(), strategy, CodeCache::open(config, &engine)))
}

fn max_memory(config: &config::Config) -> usize {
    let memory = config.apps.values().map(|app| app.limits.memory.bytes()).max().unwrap_or(0);
    memory.max(SMALL_RESERVATION)
}

fn settings(strategy: Strategy, instances: u32, memory: usize, reservation: u64) -> Config {
    let mut settings = Config::new();
    settings
        .strategy(strategy)
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
        // A slot that is used again is written over instead of being unmapped and faulted in again for each instance.
        // Linux says which of its pages were touched, from version 6.7 on; before, it is the first ones that are kept.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .async_stack_keep_resident(KEPT_STACK);
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

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    /// A component with a function that only calls itself, as a tail call or not.
    fn component(call: u8) -> Binary {
        let code = [0x0a, 6, 1, 4, 0, call, 0, 0x0b];
        let module = [b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".as_slice(), &code].concat();
        Binary::new([EMPTY, &[1, module.len() as u8], &module].concat())
    }

    fn engine(compile: CompileMode) -> Engine {
        let mut config = config::Config::default();
        config.cache.bytes = config::Size::from(0);
        config.overrides.compile = compile;
        Engine::new(&config).unwrap()
    }

    /// Winch is not there on every processor, but this project is developed on one that it knows.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_quick_engine_falls_back_to_the_thorough_compiler() {
        let (call, tail_call) = (component(0x10), component(0x12));
        let quick = engine(CompileMode::Quick);
        quick.compile(&call).unwrap();
        assert!(quick.0.quick.is_some() && quick.0.thorough.get().is_none());
        quick.compile(&tail_call).unwrap();
        assert!(quick.0.thorough.get().is_some());
        let optimized = engine(CompileMode::Optimized);
        optimized.compile(&tail_call).unwrap();
        assert!(optimized.0.quick.is_none());
    }

    #[test]
    fn what_no_compiler_takes_has_the_reason() {
        for mode in [CompileMode::Quick, CompileMode::Optimized] {
            let error = engine(mode).compile(&Binary::new([EMPTY, &[0xff]].concat())).err().unwrap();
            assert!(format!("{error:#}").contains("malformed section id"), "{error:#}");
        }
    }
}
