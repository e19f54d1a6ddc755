//! The real binary, and other programs, as child processes that never outlive their test.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::{binary, cache, eventually};

/// A running program with what it has printed so far. It is killed, with all that it has started, when this
/// is dropped.
pub struct Process {
    child: Mutex<Child>,
    /// Its process id, which is its group's too.
    group: u32,
    stdout: Output,
    stderr: Output,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All that it printed to standard output.
    pub stdout: String,
    /// All that it printed to standard error.
    pub stderr: String,
}

struct Output {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Run `hassock` with these arguments, in a folder.
    pub fn hassock<A: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(folder).env("CACHE_DIRECTORY", cache());
        Self::start(command)
    }

    /// Run a command and collect what it prints.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start_as_is(command)
    }

    /// Run a command that has its outputs set already: those that are pipes are collected.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_as_is(mut command: Command) -> Self {
        // A group of its own, so that what it starts can be ended with it.
        let started = command.stdin(Stdio::null()).process_group(0).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (stdout, stderr) = (Output::of(child.stdout.take()), Output::of(child.stderr.take()));
        Self { group: child.id(), child: Mutex::new(child), stdout, stderr }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.group
    }

    /// What it has printed to standard output.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to standard error.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Wait until it has printed something to standard output.
    ///
    /// # Panics
    /// If it does not.
    pub async fn prints(&self, text: &str) {
        self.until(text, || self.stdout().contains(text)).await;
    }

    /// Wait until it has printed something to standard error.
    ///
    /// # Panics
    /// If it does not.
    pub async fn complains(&self, text: &str) {
        self.until(text, || self.stderr().contains(text)).await;
    }

    /// Wait until it has printed something to standard error this many times.
    ///
    /// # Panics
    /// If it does not.
    pub async fn complains_times(&self, text: &str, times: usize) {
        self.until(text, || self.stderr().matches(text).count() >= times).await;
    }

    /// Wait for a line of standard output that begins with this; returns the rest.
    ///
    /// # Panics
    /// If there is none.
    pub async fn line(&self, beginning: &str) -> String {
        self.until(beginning, || self.find_line(beginning).is_some()).await;
        self.find_line(beginning).unwrap_or_default()
    }

    /// The same for a program that may end without it: none then.
    pub async fn line_if_any(&self, beginning: &str) -> Option<String> {
        let done = || async { self.status().is_some() || self.find_line(beginning).is_some() };
        eventually(&format!("the program to print `{beginning}` or to end"), done).await;
        self.find_line(beginning)
    }

    fn find_line(&self, beginning: &str) -> Option<String> {
        let text = self.stdout();
        let (complete, _) = text.rsplit_once('\n')?;
        complete.lines().find_map(|line| line.strip_prefix(beginning)).map(|rest| rest.trim().to_owned())
    }

    /// Wait until `has` is true, which means that it has printed `text`.
    pub(crate) async fn until(&self, text: &str, has: impl Fn() -> bool) {
        let _witness = Witness(self);
        let has = &has;
        eventually(&format!("the program to print `{text}`"), || async move {
            // In this order, because all output is there after the end.
            let ended = self.status().is_some();
            let has = has();
            assert!(has || !ended, "the program has ended and did not print `{text}`");
            has
        })
        .await;
    }

    /// KiB of memory that it had at its greatest.
    ///
    /// # Panics
    /// If it is gone.
    pub fn peak_memory(&self) -> usize {
        self.memory_in("VmHWM:")
    }

    /// KiB of memory that it has now.
    ///
    /// # Panics
    /// If it is gone.
    pub fn memory(&self) -> usize {
        self.memory_in("VmRSS:")
    }

    fn memory_in(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.group)).unwrap_or_default();
        let found = status.lines().find_map(|line| line.strip_prefix(field));
        let found = found.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        found.unwrap_or_else(|| panic!("no memory in {status}"))
    }

    /// Send it a signal: `TERM`, `INT`.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, name: &str) {
        kill(name, &self.group.to_string());
    }

    /// Press Ctrl-C: a terminal sends SIGINT to the program and to all that it has started.
    ///
    /// # Panics
    /// If it is gone.
    pub fn ctrl_c(&self) {
        kill("INT", &format!("-{}", self.group));
    }

    /// Wait for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ends(self) -> Finished {
        let _witness = Witness(&self);
        eventually("the program to end", || async { self.status().is_some() }).await;
        let status = self.status().unwrap_or_default();
        Finished { code: status.code(), signal: status.signal(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// How it ended, once it has ended and all its output was read.
    fn status(&self) -> Option<ExitStatus> {
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
        let status = status.unwrap_or_else(|error| panic!("cannot wait for the program: {error}"));
        status.filter(|_| self.stdout.is_complete() && self.stderr.is_complete())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // End what still runs of the group, which may be nothing.
        let group = format!("-{}", self.group);
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

fn kill(signal: &str, target: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), "--", target]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot send {signal} to {target}");
}

/// Prints the output of a program if the test fails meanwhile.
struct Witness<'a>(&'a Process);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- standard output:\n{}--- standard error:\n{}---", self.0.stdout(), self.0.stderr());
        }
    }
}

impl Output {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let reader = pipe.map(|pipe| {
            let text = Arc::clone(&text);
            thread::spawn(move || {
                let mut lines = BufReader::new(pipe);
                let mut line = Vec::new();
                while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                    text.push_str(&String::from_utf8_lossy(&line));
                    line.clear();
                }
            })
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_complete(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Run `hassock` to its end.
pub async fn hassock<A: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Finished {
    Process::hassock(folder, arguments).ends().await
}
