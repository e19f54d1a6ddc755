//! The two servers that are compared, each as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use hassock_tests::{TestHost, app, example};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// What `getconf CLK_TCK` says on every Linux: the unit of `/proc/PID/stat`.
const TICKS_PER_SECOND: u64 = 100;

#[derive(Clone, Copy)]
pub enum Kind {
    Bare,
    Hassock,
}

/// A server process; it ends with this.
pub struct Server {
    process: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    /// Start one and wait until it listens.
    pub async fn start(kind: Kind) -> Self {
        let kind = match kind {
            Kind::Bare => "bare",
            Kind::Hassock => "hassock",
        };
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program).arg(kind).stdout(Stdio::piped()).spawn().expect("a server");
        let mut address = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut address).expect("its address");
        Self { process, address: address.trim().to_owned() }
    }

    /// The CPU time that it has used, in user mode and in the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("its statistics");
        // After the name in parentheses, which may hold anything: utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
        Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has no data to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The real host with the `echo` example.
pub async fn run_hassock() {
    let host = TestHost::start(&app("echo", &example("echo"))).await;
    println!("{}", host.address());
    std::future::pending::<()>().await;
}

/// The best echo without a module: a small read buffer, and one flush for all that was read at once.
pub async fn run_bare() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("its address"));
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        tokio::spawn(echo(socket));
    }
}

async fn echo(socket: TcpStream) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    let mut socket = accept_async_with_config(socket, Some(config)).await.ok()?;
    loop {
        let mut message = socket.next().await?.ok()?;
        loop {
            if message.is_text() || message.is_binary() {
                socket.feed(message).await.ok()?;
            }
            match socket.next().now_or_never() {
                Some(next) => message = next?.ok()?,
                None => break,
            }
        }
        socket.flush().await.ok()?;
    }
}
