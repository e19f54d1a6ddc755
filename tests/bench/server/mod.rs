//! The servers, each as a process of its own.

mod bare;
mod cores;
mod hassock;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
pub use cores::Cores;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

/// What `getconf CLK_TCK` says on every Linux: the unit of `/proc/PID/stat`.
const TICKS_PER_SECOND: u64 = 100;

/// How long another server may take until it listens.
const START: Duration = Duration::from_secs(30);

/// Be a server instead of the benchmark.
#[derive(Args)]
pub struct Serve {
    #[arg(long, hide = true)]
    serve: Option<Kind>,
    /// The config of the host. Without it, the host has an app for each load.
    #[arg(long, hide = true)]
    config: Option<PathBuf>,
    /// The app of `hassock dev`.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
    /// The database of the bare server.
    #[arg(long, hide = true)]
    database: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Bare,
    Hassock,
    Dev,
}

/// A server process. It ends when this is dropped.
pub struct Server {
    process: Child,
    orders: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
    /// `127.0.0.1:PORT`
    pub address: String,
    /// Where it echoes.
    pub echo: String,
    _config: Option<NamedTempFile>,
}

/// The name of the program `hassock` as an argument of this one, which then is that program. Another program would have
/// to be built.
pub const PROGRAM: &str = "hassock";

/// The words of a command that runs the program `hassock` on some cores.
pub fn hassock_command(cores: Cores) -> [String; 5] {
    let this = env::current_exe().expect("this program").display().to_string();
    ["taskset".to_owned(), "-c".to_owned(), cores.list(), this, PROGRAM.to_owned()]
}

impl Serve {
    /// Be the server that the arguments ask for, until the process is killed. Returns at once if they ask for none.
    pub async fn run(&self) {
        // On the threads of the runtime. The main thread would compete with them for the one core.
        let (config, database, folder) = (self.config.clone(), self.database.clone(), self.folder.clone());
        let serving = match self.serve {
            Some(Kind::Bare) => tokio::spawn(bare::run(database)),
            Some(Kind::Dev) => tokio::spawn(hassock::develop(folder.unwrap_or_default())),
            Some(Kind::Hassock) => tokio::spawn(hassock::run(config)),
            None => return,
        };
        serving.await.expect("the server");
    }

    /// The host's own runtime for the host.
    pub fn runtime(&self) -> Runtime {
        let runtime = match self.serve {
            Some(Kind::Hassock | Kind::Dev) => ::hassock::runtime(),
            Some(Kind::Bare) | None => Runtime::new(),
        };
        runtime.expect("a runtime")
    }

    pub fn is_asked_for(&self) -> bool {
        self.serve.is_some()
    }
}

impl Server {
    /// A bare tokio-tungstenite server.
    pub fn bare() -> Self {
        Self::own(Cores::SERVER, &[], &["--serve", "bare"])
    }

    /// The same, which asks a database.
    pub fn bare_with_database(url: &str) -> Self {
        Self::own(Cores::SERVER, &[], &["--serve", "bare", "--database", url])
    }

    /// A host with apps for each case.
    pub fn hassock() -> Self {
        Self::own(Cores::SERVER, &[], &["--serve", "hassock"])
    }

    /// The same, whose instructions callgrind counts. Dumps have the name `output` with a number.
    pub fn hassock_under_callgrind(output: &Path) -> Self {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={}", output.display())]);
        command.arg(env::current_exe().expect("this program")).args(["--serve", "hassock"]);
        Self::listening(command)
    }

    /// A host with a config, and with variables of its environment.
    pub fn hassock_with(config: &str, cores: Cores, variables: &[(&str, &str)]) -> Self {
        let mut file = NamedTempFile::new().expect("a file for the config");
        file.write_all(config.as_bytes()).expect("the config");
        let path = file.path().to_string_lossy().into_owned();
        let mut server = Self::own(cores, variables, &["--serve", "hassock", "--config", &path]);
        server._config = Some(file);
        server
    }

    /// `hassock dev` in a folder.
    pub fn dev(folder: &Path) -> Self {
        let (folder, cache) = (folder.to_string_lossy(), folder.join("cache"));
        let variables = [("XDG_CACHE_HOME", &*cache.to_string_lossy()), ("CACHE_DIRECTORY", "")];
        let mut server = Self::own(Cores::Both, &variables, &["--serve", "dev", "--folder", &folder]);
        // It prints the address of its test page.
        let address = server.address.rsplit('/').nth(1).expect("the address").to_owned();
        server.address = address;
        server
    }

    /// Any other server: a command for the shell, and the URL at which it then echoes.
    pub fn other(command: &str, url: &str) -> Self {
        let rest = url.strip_prefix("ws://").expect("the URL begins with ws://");
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut server = Command::new("taskset");
        server.args(["-c", &Cores::SERVER.list(), "sh", "-c", &format!("exec {command}")]).stdout(Stdio::null());
        let process = server.spawn().expect("the other server");
        let (address, echo) = (address.to_owned(), format!("/{path}"));
        let mut server = Self { process, orders: None, answers: None, address, echo, _config: None };
        let began = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            let ended = server.process.try_wait().expect("its status");
            assert!(ended.is_none(), "`{command}` has ended");
            assert!(began.elapsed() < START, "`{command}` does not listen on {}", server.address);
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Start this program as a server, and wait until it listens.
    fn own(cores: Cores, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", &cores.list()]).arg(env::current_exe().expect("this program")).args(arguments);
        command.envs(variables.iter().copied());
        Self::listening(command)
    }

    fn listening(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let orders = process.stdin.take();
        let answers = process.stdout.take().map(BufReader::new);
        let mut server =
            Self { process, orders, answers, address: String::new(), echo: "/echo".to_owned(), _config: None };
        server.address = server.answer();
        assert!(!server.address.is_empty(), "the server did not start; its message is above");
        server
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("its status").is_none()
    }

    /// Give an order.
    pub fn tell(&mut self, order: &str) {
        writeln!(self.orders.as_mut().expect("a server of ours"), "{order}").expect("cannot give an order");
    }

    /// Wait for a line of its output.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.as_mut().expect("a server of ours").read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }

    /// The CPU time that it has used, in user mode and in the kernel.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.process.id())
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

/// The CPU time that a process has used, in user mode and in the kernel.
pub fn cpu_of(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("its statistics");
    // After the name in parentheses, which may contain anything: utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
    Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has no data to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
