//! Which cores a process runs on. `taskset` is part of every Linux.

use std::process::{Command, Stdio};

/// Cores of the machine.
#[derive(Clone, Copy)]
pub enum Cores {
    One(usize),
    /// Both of the machine that the project measures on.
    Both,
}

impl Cores {
    /// The core of a server.
    pub const SERVER: Self = Self::One(0);

    /// The core of the load.
    pub const LOAD: Self = Self::One(1);

    /// As `taskset` reads it.
    pub fn list(self) -> String {
        match self {
            Self::One(core) => core.to_string(),
            Self::Both => "0,1".to_owned(),
        }
    }

    /// Move this process. Threads that it starts later stay there too.
    pub fn stay_here(self) {
        let process = std::process::id().to_string();
        let moved = Command::new("taskset").args(["-cp", &self.list(), &process]).stdout(Stdio::null()).status();
        assert!(moved.expect("taskset").success(), "this needs a machine with two cores");
    }
}
