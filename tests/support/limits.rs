//! What a running process may use, changed from outside with `prlimit`: a machine that has no more of it. It needs no
//! rights, because only the soft limit is changed.

use std::fs;
use std::process::Command;

use crate::Process;

/// Let this process, which is all tests, have as many files open as it may.
///
/// # Panics
/// If the limit stays.
pub fn more_open_files() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_else(|error| panic!("no limits: {error}"));
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    let hard = line.split_whitespace().nth(1).unwrap_or_default();
    prlimit(std::process::id(), "nofile", hard);
}

impl Process {
    /// Let it have so many files open, beside those that it has open now.
    ///
    /// # Panics
    /// If the limit stays.
    pub fn more_files(&self, more: usize) {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id())).map(Iterator::count);
        let open = open.unwrap_or_else(|error| panic!("no files: {error}"));
        self.limit("nofile", &(open + more).to_string());
    }

    /// Let it write only so many bytes to each file. A signal ends it then, unless it ignores `SIGXFSZ`.
    ///
    /// # Panics
    /// If the limit stays.
    pub fn largest_file(&self, bytes: usize) {
        self.limit("fsize", &bytes.to_string());
    }

    /// Take a limit away again.
    ///
    /// # Panics
    /// If the limit stays.
    pub fn unlimited(&self, resource: &str) {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.id()));
        let limits = limits.unwrap_or_else(|error| panic!("no limits: {error}"));
        let name = if resource == "nofile" { "Max open files" } else { "Max file size" };
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        self.limit(resource, line.split_whitespace().nth(1).unwrap_or_default());
    }

    fn limit(&self, resource: &str, soft: &str) {
        prlimit(self.id(), resource, soft);
    }
}

fn prlimit(process: u32, resource: &str, soft: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={process}")).arg(format!("--{resource}={soft}:"));
    let done = prlimit.status();
    assert!(done.is_ok_and(|status| status.success()), "{prlimit:?} fails");
}
