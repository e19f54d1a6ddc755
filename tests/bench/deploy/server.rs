//! The host as a process of its own, which reads its orders line by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use hassock::deploy::Rollout;
use hassock_tests::{TestHost, app, guest, marked};
use tokio::io::{AsyncBufReadExt, BufReader as AsyncBufReader, Lines, Stdin, stdin};

use crate::component::enlarged;

/// Bytes of the component that is compiled.
const LARGE: usize = 10_000_000;

/// A host process; it ends with this.
pub struct Server {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    /// Start it and wait until it listens.
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        let mut process = command.arg("host").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a host");
        let orders = process.stdin.take().expect("its input");
        let answers = BufReader::new(process.stdout.take().expect("its output"));
        let mut server = Self { process, orders, answers, address: String::new() };
        server.address = server.line();
        server
    }

    /// Give an order.
    pub fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("cannot give an order");
    }

    /// Wait for a figure.
    pub fn answer(&mut self) -> f64 {
        self.line().parse().expect("a figure")
    }

    /// Give an order and wait for a figure.
    pub fn ask(&mut self, order: &str) -> f64 {
        self.tell(order);
        self.answer()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has no data to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The host's side.
pub async fn run() {
    // Without a cache, because the compiling is measured.
    let host = TestHost::start(&format!("{}[cache]\nbytes = 0\n", app("marked", &guest("marked")))).await;
    println!("{}", host.address());
    let mut orders = AsyncBufReader::new(stdin()).lines();
    for seed in 0.. {
        match orders.next_line().await.expect("an order").as_deref() {
            Some("swap") => println!("{}", swap_until_told(&host, &mut orders).await),
            Some("compile") => println!("{}", compile(&host, seed).await),
            _ => return,
        }
    }
}

/// Deploy two versions in turns, each through the whole gate. Returns how many.
async fn swap_until_told(host: &TestHost, orders: &mut Lines<AsyncBufReader<Stdin>>) -> u64 {
    let versions = [marked("one"), marked("two")];
    let mut swaps = 0;
    let mut told = std::pin::pin!(orders.next_line());
    loop {
        let version = versions[swaps as usize % 2].clone();
        tokio::select! {
            biased;
            _ = &mut told => return swaps,
            done = host.host.control().deploy("marked", version, Rollout::Full) => drop(done.expect("a swap")),
        }
        swaps += 1;
    }
}

/// Deploy a component that was never compiled before. Returns how many seconds that took.
async fn compile(host: &TestHost, seed: u32) -> f64 {
    let module = enlarged(&marked("large"), LARGE, seed);
    let begin = Instant::now();
    host.host.control().deploy("marked", module, Rollout::Full).await.expect("a deploy");
    begin.elapsed().as_secs_f64()
}
