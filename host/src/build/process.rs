//! A build command as a process group, so that everything that it started ends with it.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdout, Command};

/// A running build. If this is dropped before the build ends, the build is ended: the host is stopping.
pub(super) struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    /// Start a command line of the config with a shell, in the app's folder. `change` may change how.
    pub(super) fn start(command: &str, folder: &Path, change: impl FnOnce(&mut Command)) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).process_group(0);
        change(&mut shell);
        let child = shell.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    /// Its standard output, if that is piped. Can be taken once.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Wait for its end.
    pub(super) async fn finish(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        // From here on the id may be that of another group.
        self.group = None;
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // An error means that it has just ended by itself.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}
