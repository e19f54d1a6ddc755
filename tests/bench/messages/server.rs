//! The two servers, each as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use hassock_tests::{TestHost, app, app_with_database, example, guest};

use super::{bare, cores};

/// What `getconf CLK_TCK` says on every Linux: the unit of `/proc/PID/stat`.
const TICKS_PER_SECOND: u64 = 100;

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    Bare,
    Hassock,
}

/// A server process. It ends when this is dropped.
pub struct Server {
    process: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    /// Start one and wait until it listens.
    pub fn start(kind: Kind) -> Self {
        let program = std::env::current_exe().expect("this program");
        let kind = match kind {
            Kind::Bare => "bare",
            Kind::Hassock => "hassock",
        };
        let arguments =
            ["-c", &cores::SERVER.to_string(), &program.to_string_lossy(), "--serve", kind].map(str::to_owned);
        let mut process = Command::new("taskset").args(arguments).stdout(Stdio::piped()).spawn().expect("a server");
        let mut address = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut address).expect("its address");
        assert!(!address.is_empty(), "the server did not start; its message is above");
        Self { process, address: address.trim().to_owned() }
    }

    /// The CPU time that it has used, in user mode and in the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // After the name in parentheses, which may contain anything: utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
        Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND)
    }

    /// The memory that it has in RAM, in bytes.
    pub fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("its statistics")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has no data to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Be a server until the process is killed.
pub async fn run(kind: Kind) {
    match kind {
        Kind::Bare => bare::run().await,
        Kind::Hassock => {
            // A few instances, because callgrind cannot reserve the address space of many.
            let limits = "[limits]\nmax_connections = 20000\nconnections_per_address = 20000\nmax_instances = 4\n";
            // Without pings to clients that only listen.
            let instances = |app: &str| format!("[apps.{app}.limits]\ninstances = 1\nkeepalive = \"1h\"\n");
            let echo = app("echo", &example("echo")) + &instances("echo");
            let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:") + &instances("probe");
            let apps = echo + &probe;
            let host = TestHost::start(&format!("{limits}{apps}")).await;
            println!("{}", host.address());
            std::future::pending::<()>().await;
        }
    }
}
