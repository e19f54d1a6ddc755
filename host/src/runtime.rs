//! The runtime that runs the host's tasks.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// How many tasks run before a thread asks the kernel which sockets have data. By default, these are 61. The more often
/// the host reads, the more published messages it writes to a subscriber with one system call, which is most of what a
/// delivery costs; asking costs as much as a tenth of a message.
const TASKS_BETWEEN_READS: u32 = 16;

/// A runtime with a thread for each core, or with as many as `TOKIO_WORKER_THREADS` says.
///
/// # Errors
/// If the kernel gives no threads or handles.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().event_interval(TASKS_BETWEEN_READS).build()
}
