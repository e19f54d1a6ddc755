//! The priority of threads: what others must not feel gets a lower one. On Linux, each thread has its own. On other
//! systems, the priority is that of the whole process, and stays.

/// A thread with priority 0 gets nine times as much CPU time. At the lowest priority, 19, it would get 68 times as
/// much, which disturbs other threads a little less; but an overloaded host could then not load the version that fixes
/// the overload for minutes.
#[cfg(target_os = "linux")]
pub(crate) const LOW: i32 = 10;

/// A thread of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thread {
    #[cfg(target_os = "linux")]
    id: rustix::process::Pid,
}

impl Thread {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            id: rustix::thread::gettid(),
        }
    }

    /// Lower its priority. A thread that has a lower one already keeps it.
    #[cfg(target_os = "linux")]
    pub(crate) fn lower_priority(self) {
        let thread = Some(self.id);
        let lower = rustix::process::getpriority_process(thread).map_or(LOW, |nice| nice.max(LOW));
        if let Err(error) = rustix::process::setpriority_process(thread, lower) {
            // It may have ended.
            tracing::debug!(%error, "the priority of a thread stays");
        }
    }

    /// Nothing, because that would be the priority of the whole process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn lower_priority(self) {}
}
