//! Which core a process runs on. `taskset` is part of every Linux.

use std::process::{Command, Stdio};

/// The core of the server.
pub const SERVER: usize = 0;

/// The core of the load.
pub const LOAD: usize = 1;

/// Move this process. Threads that it starts later stay there too.
pub fn stay_on(core: usize) {
    let process = std::process::id().to_string();
    let moved = Command::new("taskset").args(["-cp", &core.to_string(), &process]).stdout(Stdio::null()).status();
    assert!(moved.expect("taskset").success(), "this needs a machine with two cores");
}
