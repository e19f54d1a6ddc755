//! What TLS costs: the CPU time of an echoed message for plain WebSockets, for the TLS of the host, and for nginx in front.
//!
//! ```text
//! cargo run --release -p hassock-tests --bin bench fronts [--rounds N]
//! ```
//!
//! One host serves all three, on one core together with nginx, and the load is on the other core. They take turns.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use hassock_tests::{Authority, app, example};
use rustls::version::TLS13;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::load::client;
use crate::server::{Cores, Server, cpu_of};

/// Clients, each with one message on its way.
const CLIENTS: usize = 16;

const ROUND: Duration = Duration::from_secs(1);

/// Bytes of a message.
const PAYLOAD: usize = 64;

const TEXT: u8 = 1;

/// Compare plain WebSockets with the TLS of the host and with nginx.
#[derive(Args)]
pub struct Fronts {
    /// How often each takes its turn.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
}

/// A stream of a client.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One way to reach the host.
struct Front {
    name: &'static str,
    streams: Vec<Box<dyn Stream>>,
    /// The CPU time of the host and of nginx for a message, in microseconds: one for each round.
    measured: Vec<(f64, f64)>,
}

/// A running nginx. It ends when this is dropped.
struct Nginx(Child);

impl Fronts {
    pub async fn measure(&self) {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let (certificate, key) = authority.issue(folder.path(), "site", &["localhost"]);
        let [plain, secure, front] = free_ports();
        let host = Server::hassock_with(
            &format!(
                "trusted_proxies = [\"127.0.0.1\"]\n[listeners.plain]\naddress = \"127.0.0.1:{plain}\"\n\
                 [listeners.secure]\naddress = \"127.0.0.1:{secure}\"\n\
                 tls.site = {{ certificate = \"{}\", key = \"{}\" }}\n{}",
                certificate.display(),
                key.display(),
                app("echo", &example("echo"))
            ),
            Cores::SERVER,
            &[],
        );
        let nginx = Nginx::start(&folder, front, plain, &certificate, &key).await;
        let connector = authority.connector(&[&TLS13]);
        let mut fronts = [("plain", plain), ("TLS of the host", secure), ("nginx with TLS in front", front)]
            .map(|(name, port)| (Front { name, streams: Vec::new(), measured: Vec::new() }, port));
        for (front, port) in &mut fronts {
            for _ in 0..CLIENTS {
                let stream = TcpStream::connect(("127.0.0.1", *port)).await.expect("a connection");
                stream.set_nodelay(true).expect("no delay");
                let name = "localhost".try_into().expect("a name");
                let mut stream: Box<dyn Stream> = match *port == plain {
                    true => Box::new(stream),
                    false => Box::new(connector.connect(name, stream).await.expect("TLS")),
                };
                stream.write_all(client::handshake("/echo").as_bytes()).await.expect("the request");
                client::answer(&mut stream).await;
                front.streams.push(stream);
            }
        }
        // The first turn is to warm up.
        for turn in 0..=self.rounds {
            for (front, _) in &mut fronts {
                let cost = front.round(&host, &nginx).await;
                if turn > 0 {
                    front.measured.push(cost);
                }
            }
        }
        print(&fronts.map(|(front, _)| front));
    }
}

impl Front {
    /// Echo for a round. Returns what a message has cost.
    async fn round(&mut self, host: &Server, nginx: &Nginx) -> (f64, f64) {
        let before = (host.cpu(), nginx.cpu());
        let end = Instant::now() + ROUND;
        let mut tasks = JoinSet::new();
        for mut stream in self.streams.drain(..) {
            tasks.spawn(async move {
                let text: Vec<u8> = (b'a'..=b'z').cycle().take(PAYLOAD).collect();
                let (frame, echo) = (client::to_server(TEXT, &text), client::from_server(TEXT, &text));
                let (mut buffer, mut count) = (Vec::new(), 0);
                while Instant::now() < end {
                    stream.write_all(&frame).await.expect("to send");
                    client::expect(&mut stream, &echo, &mut buffer).await;
                    count += 1;
                }
                (stream, count)
            });
        }
        let done = tasks.join_all().await;
        let messages: u32 = done.iter().map(|(_, count)| count).sum();
        self.streams.extend(done.into_iter().map(|(stream, _)| stream));
        let of_one = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(messages);
        (of_one(host.cpu() - before.0), of_one(nginx.cpu() - before.1))
    }

    fn median(&self, figure: impl Fn(&(f64, f64)) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.measured.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn print(fronts: &[Front]) {
    let plain = fronts.first().map_or(f64::NAN, |front| front.median(|(host, nginx)| host + nginx));
    println!("{CLIENTS} clients with one message of {PAYLOAD} bytes each on its way\n");
    println!("| | host, µs | nginx, µs | both, µs | ratio |\n|---|---|---|---|---|");
    for front in fronts {
        let both = front.median(|(host, nginx)| host + nginx);
        let (host, nginx) = (front.median(|(host, _)| *host), front.median(|(_, nginx)| *nginx));
        println!("| {} | {host:.1} | {nginx:.1} | {both:.1} | {:.2} |", front.name, both / plain);
    }
}

impl Nginx {
    async fn start(folder: &TempDir, port: u16, host: u16, certificate: &Path, key: &Path) -> Self {
        let (file, folder) = (folder.path().join("nginx.conf"), folder.path().display());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {folder}/{what};\n"))
            .concat();
        let config = format!(
            "daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{temporary}\
             access_log off;\nserver {{\nlisten 127.0.0.1:{port} ssl;\nssl_protocols TLSv1.3;\nssl_certificate {};\nssl_certificate_key {};\n\
             location / {{\nproxy_pass http://127.0.0.1:{host};\nproxy_http_version 1.1;\n\
             proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\nproxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $remote_addr;\nproxy_set_header X-Forwarded-Proto $scheme;\n}}\n}}\n}}\n",
            certificate.display(),
            key.display()
        );
        fs::write(&file, config).expect("the config of nginx");
        let mut command = Command::new("taskset");
        command.args(["-c", &Cores::SERVER.list(), "nginx", "-c"]).arg(&file).stdout(Stdio::null());
        // Debian keeps it where root alone looks.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let nginx = Self(command.env("PATH", path).spawn().expect("nginx"));
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        nginx
    }

    /// The CPU time of it and of its worker.
    fn cpu(&self) -> Duration {
        let master = self.0.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).expect("its worker");
        let children = children.split_whitespace().map(|child| child.parse().expect("a process"));
        children.chain([master]).map(cpu_of).sum()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave its worker.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.each_ref().map(|listener| listener.local_addr().expect("its address").port())
}
