//! The errors of a module: when it is loaded, and when it is called.

use std::path::PathBuf;

use super::VersionId;
use crate::config::{Duration, Size};

/// Why a module cannot serve. Each error is one message that says what failed, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the module {}: {source}; build it with `hassock build`, or correct the key `module`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file changed while it was read.
    #[error("another program is writing {}; try again when it is complete", file.display())]
    BeingWritten {
        /// The file.
        file: PathBuf,
    },
    /// The file is not WebAssembly.
    #[error("{} is not WebAssembly: it does not begin with `\\0asm`", file.display())]
    NotWasm {
        /// The file.
        file: PathBuf,
    },
    /// The file is a core module, as other targets produce.
    #[error(
        "{} is a core WebAssembly module, not a component; build it for the target `wasm32-wasip2`",
        file.display()
    )]
    NotComponent {
        /// The file.
        file: PathBuf,
    },
    /// The file does not compile: it is incomplete, or uses features that this host does not have.
    #[error("{} does not compile: {reason}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Wasmtime's reason.
        reason: String,
    },
    /// The module imports interfaces that the app may not use or that the host does not have.
    #[error("{}", imports.join("\n"))]
    Imports {
        /// One sentence for each import, with the key that would grant it.
        imports: Vec<String>,
    },
    /// The module does not export a required interface.
    #[error("{} does not export `{export}`{hint}", file.display())]
    MissingExport {
        /// The file.
        file: PathBuf,
        /// The missing interface.
        export: &'static str,
        /// How to export it.
        hint: &'static str,
    },
    /// The types of the module are not those of the WIT interfaces.
    #[error(
        "{} does not fit the interfaces of this host: {reason}; if it was built for another version of Hassock, build it again with the SDK of this one",
        file.display()
    )]
    Mismatch {
        /// The file.
        file: PathBuf,
        /// Wasmtime's reason.
        reason: String,
    },
}

/// Why a call of a module did not return.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The module returned an error.
    #[error("the module returned an error: {0}")]
    Returned(String),
    /// The module panicked, and trapped therefore.
    #[error("the module trapped: panicked at {at}: {message}")]
    Panic {
        /// File, line and column.
        at: String,
        /// What it said.
        message: String,
        /// The wasm frames, innermost first.
        backtrace: String,
    },
    /// The module trapped: an out-of-bounds access, a stack overflow, a panic that said nothing, ….
    #[error("the module trapped: {reason}")]
    Trap {
        /// The kind of trap.
        reason: String,
        /// The wasm frames, innermost first.
        backtrace: String,
    },
    /// The call computed for too long.
    #[error("the call computed for longer than `cpu_time` = {limit}")]
    CpuTime {
        /// The limit.
        limit: Duration,
        /// The wasm frames, innermost first.
        backtrace: String,
    },
    /// The call took too long.
    #[error("the call took longer than `call_timeout` = {0}")]
    Timeout(Duration),
    /// The module needed more memory than it may use, and then trapped.
    #[error("the module needed more than `memory` = {limit}: {reason}")]
    Memory {
        /// The limit.
        limit: Size,
        /// The trap that followed.
        reason: String,
    },
    /// All instances were busy.
    #[error("all {instances} `instances` were busy for `instance_wait` = {wait}")]
    Busy {
        /// The limit.
        instances: u32,
        /// How long the call waited.
        wait: Duration,
    },
    /// The instances of all apps together were busy.
    #[error("all instances of the host are in use; raise `max_instances`, or lower the apps' `instances`: {0}")]
    HostBusy(String),
    /// A new instance could not be made.
    #[error("no fresh instance: {0}")]
    Instantiate(String),
    /// The host stops, and the call did not return in time.
    #[error("the call was given up, because the host is stopping and half of `drain_timeout` has passed")]
    Stopping,
    /// The connection has to leave a version that was rolled back, and no other version can read its attachment.
    #[error("the connection cannot leave the version that was rolled back: {0}")]
    Stranded(String),
}

/// A failed call, and the version that served it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("version {version}: {error}")]
pub struct FailedCall {
    /// The version.
    pub version: VersionId,
    /// Why.
    #[source]
    pub error: CallError,
}

impl LoadError {
    /// A word for the kind of error, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::BeingWritten { .. } => "being-written",
            Self::NotWasm { .. } => "not-wasm",
            Self::NotComponent { .. } => "not-component",
            Self::Invalid { .. } => "invalid",
            Self::Imports { .. } => "imports",
            Self::MissingExport { .. } => "missing-export",
            Self::Mismatch { .. } => "mismatch",
        }
    }
}

/// The kinds of a [`CallError`], for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// [`CallError::Returned`]
    Returned,
    /// [`CallError::Panic`]
    Panic,
    /// [`CallError::Trap`]
    Trap,
    /// [`CallError::CpuTime`]
    CpuTime,
    /// [`CallError::Timeout`]
    Timeout,
    /// [`CallError::Memory`]
    Memory,
    /// [`CallError::Busy`]
    Busy,
    /// [`CallError::HostBusy`]
    HostBusy,
    /// [`CallError::Instantiate`]
    Instantiate,
    /// [`CallError::Stopping`]
    Stopping,
    /// [`CallError::Stranded`]
    Stranded,
}

impl CallErrorKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Returned,
        Self::Panic,
        Self::Trap,
        Self::CpuTime,
        Self::Timeout,
        Self::Memory,
        Self::Busy,
        Self::HostBusy,
        Self::Instantiate,
        Self::Stopping,
        Self::Stranded,
    ];

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Panic => "panic",
            Self::Trap => "trap",
            Self::CpuTime => "cpu-time",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Busy => "busy",
            Self::HostBusy => "host-busy",
            Self::Instantiate => "instantiate",
            Self::Stopping => "stopping",
            Self::Stranded => "stranded",
        }
    }
}

impl CallError {
    /// Its kind.
    pub fn kind(&self) -> CallErrorKind {
        match self {
            Self::Returned(_) => CallErrorKind::Returned,
            Self::Panic { .. } => CallErrorKind::Panic,
            Self::Trap { .. } => CallErrorKind::Trap,
            Self::CpuTime { .. } => CallErrorKind::CpuTime,
            Self::Timeout(_) => CallErrorKind::Timeout,
            Self::Memory { .. } => CallErrorKind::Memory,
            Self::Busy { .. } => CallErrorKind::Busy,
            Self::HostBusy(_) => CallErrorKind::HostBusy,
            Self::Instantiate(_) => CallErrorKind::Instantiate,
            Self::Stopping => CallErrorKind::Stopping,
            Self::Stranded(_) => CallErrorKind::Stranded,
        }
    }

    /// Whether the module failed: it trapped, or reached a deadline or the memory limit. An error that the module
    /// returned does not count.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Panic { .. }
            | Self::Trap { .. }
            | Self::CpuTime { .. }
            | Self::Timeout(_)
            | Self::Memory { .. }
            | Self::Instantiate(_) => true,
            Self::Returned(_) | Self::Busy { .. } | Self::HostBusy(_) | Self::Stopping | Self::Stranded(_) => false,
        }
    }

    /// Whether neither the module nor its call is at fault: there was no instance, or no time.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::HostBusy(_) | Self::Stopping)
    }

    /// The wasm frames, if there are any.
    pub fn backtrace(&self) -> &str {
        match self {
            Self::Panic { backtrace, .. } | Self::Trap { backtrace, .. } | Self::CpuTime { backtrace, .. } => backtrace,
            _ => "",
        }
    }

    /// File, line and column of a panic.
    pub fn panicked_at(&self) -> Option<&str> {
        match self {
            Self::Panic { at, .. } => Some(at),
            _ => None,
        }
    }
}
