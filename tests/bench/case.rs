//! What is measured, with what it is compared, and what is to be reached.

use clap::ValueEnum;
use hassock_tests::{TestDatabase, app, example};

use crate::contest::Contest;
use crate::load::{
    Accepts, Deploys, Dev, Disturbance, Echo, FanOut, Idle, Load, Measured, Paced, PacedClients, Queries, Restart,
};
use crate::server::{Cores, Server};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// 64 bytes, 32 connections, 1 message in flight.
    #[value(name = "echo-1")]
    Echo1,
    /// 64 bytes, 32 connections, 16 messages in flight.
    #[value(name = "echo-16")]
    Echo16,
    /// 16 KiB, 8 connections, 1 message in flight.
    #[value(name = "echo-16k")]
    EchoLarge,
    /// 8 bytes, 100 connections, 5,000 messages a second in all: the 99th percentile of the time to the echo.
    Latency,
    /// 64 bytes from one client to 200.
    FanOut,
    /// Connections that are opened and closed again.
    Accepts,
    /// The memory of an open connection that has sent one message.
    Idle,
    /// A message that is answered with one row of a SQLite file.
    Sqlite,
    /// A message that is answered with one row of MariaDB.
    Mariadb,
    /// An echo in an instance that is made for the call.
    Fresh,
    /// An echo with two worker threads.
    Workers,
    /// From the start of the process to the first answer, with compiled code in the cache.
    Restart,
    /// From the change of a source of a module of 12 MB to its first answer, under `hassock dev`.
    Dev,
    /// The 99th percentile while the module is swapped without pause.
    Swaps,
    /// The 99th percentile while a component of 10 MB is compiled.
    Compile,
    /// The 99th percentile while another program computes on the same cores, at the lowest priority.
    Neighbour,
}

/// How the figures of the host are judged.
#[derive(Clone, Copy)]
pub enum Judgement {
    /// The host's figure divided by the reference, which has to be at least this.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// The host's figure less the reference.
    DifferenceAtMost(f64),
    /// The host's figure.
    AtMost(f64),
    /// The ratio, without a target.
    Ratio,
}

impl Case {
    /// What `--against` measures.
    pub const AGAINST: [Self; 5] = [Self::Echo1, Self::Echo16, Self::EchoLarge, Self::Latency, Self::Accepts];

    /// Prepare the servers and their clients. `other` starts the server that is compared instead of ours.
    pub async fn contest(self, other: Option<&dyn Fn() -> Server>) -> Contest {
        let bare = || other.map_or_else(Server::bare, |start| start());
        let rate = Measured::MessagesPerSecond;
        match self {
            Self::Echo1 => Contest::new(
                Echo::new(bare(), 32, 64, 1, rate).await,
                Echo::new(Server::hassock(), 32, 64, 1, rate).await,
            ),
            Self::Echo16 => Contest::new(
                Echo::new(bare(), 32, 64, 16, rate).await,
                Echo::new(Server::hassock(), 32, 64, 16, rate).await,
            ),
            Self::EchoLarge => Contest::new(
                Echo::new(bare(), 8, 16 << 10, 1, rate).await,
                Echo::new(Server::hassock(), 8, 16 << 10, 1, rate).await,
            ),
            Self::Latency => Contest::new(
                Paced(PacedClients::connect(bare()).await),
                Paced(PacedClients::connect(Server::hassock()).await),
            ),
            Self::FanOut => {
                Contest::new(FanOut::new(Server::bare(), 200).await, FanOut::new(Server::hassock(), 200).await)
            }
            Self::Accepts => Contest::new(Accepts(bare()), Accepts(Server::hassock())),
            Self::Idle => Contest::new(Idle::new(Server::bare(), 2000), Idle::new(Server::hassock(), 2000)),
            Self::Sqlite => queries(TestDatabase::sqlite()).await,
            Self::Mariadb => queries(TestDatabase::mariadb().await).await,
            Self::Fresh => fresh().await,
            Self::Workers => Contest::new(workers("1").await, workers("2").await),
            Self::Restart => Contest::alone(Restart::new()),
            Self::Dev => Contest::alone(Dev::new().await),
            Self::Swaps => disturbed(Disturbance::Swaps).await,
            Self::Compile => disturbed(Disturbance::Compile).await,
            Self::Neighbour => disturbed(Disturbance::Neighbour).await,
        }
    }

    pub fn rounds(self, wanted: usize) -> usize {
        match self {
            // Each round opens more connections, and the number of open files is limited.
            Self::Idle => wanted.min(3),
            // It takes seconds.
            Self::Dev => wanted.min(3),
            _ => wanted,
        }
    }

    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::Echo1 | Self::Echo16 | Self::EchoLarge => "messages/s",
            Self::FanOut => "deliveries/s",
            Self::Accepts => "connections/s",
            Self::Idle => "bytes/connection",
            Self::Sqlite | Self::Mariadb => "µs/query",
            Self::Fresh | Self::Workers => "µs of CPU/message",
            Self::Restart => "ms",
            Self::Dev => "s",
            Self::Latency | Self::Swaps | Self::Compile | Self::Neighbour => "µs, p99",
        }
    }

    /// What the host is compared with.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Sqlite | Self::Mariadb => "tokio-tungstenite and sqlx",
            Self::Fresh => "pooled instances",
            Self::Workers => "one worker",
            Self::Restart | Self::Dev => "–",
            Self::Swaps | Self::Compile | Self::Neighbour => "quiet",
            _ => "tokio-tungstenite",
        }
    }

    pub fn judgement(self) -> Judgement {
        match self {
            Self::Echo1 | Self::Accepts => Judgement::RatioAtLeast(1.0),
            Self::Echo16 | Self::EchoLarge => Judgement::RatioAtLeast(1.2),
            Self::FanOut => Judgement::RatioAtLeast(1.7),
            Self::Idle => Judgement::AtMost(3072.0),
            Self::Sqlite | Self::Mariadb => Judgement::RatioAtMost(1.1),
            Self::Fresh => Judgement::DifferenceAtMost(30.0),
            Self::Workers => Judgement::RatioAtMost(1.15),
            Self::Restart => Judgement::AtMost(100.0),
            Self::Dev => Judgement::AtMost(3.0),
            Self::Swaps => Judgement::RatioAtMost(2.0),
            Self::Latency | Self::Compile | Self::Neighbour => Judgement::Ratio,
        }
    }
}

async fn queries(database: TestDatabase) -> Contest {
    for statement in Queries::tables() {
        database.execute(&statement).await;
    }
    let host = Server::hassock_with(&Queries::config(&database.url), Cores::SERVER, &[]);
    let bare = Server::bare_with_database(&database.url);
    let (bare, hassock) = (Queries::new(bare).await, Queries::new(host).await);
    Contest { reference: Some(Box::new(bare)), hassock: Box::new(WithDatabase { load: hassock, _database: database }) }
}

/// Keeps the files of a database until the end.
struct WithDatabase<L> {
    load: L,
    _database: TestDatabase,
}

impl<L: Load> Load for WithDatabase<L> {
    fn round(&mut self) -> futures_util::future::LocalBoxFuture<'_, crate::load::Round> {
        self.load.round()
    }
}

async fn fresh() -> Contest {
    let echo = app("echo", &example("echo"));
    let host = |limits| Server::hassock_with(&format!("{echo}{limits}"), Cores::SERVER, &[]);
    let fresh = host("[apps.echo.limits]\ninstance_calls = 1\n");
    Contest::new(Echo::new(host(""), 32, 64, 1, Measured::Cpu).await, Echo::new(fresh, 32, 64, 1, Measured::Cpu).await)
}

async fn workers(count: &str) -> Echo {
    let config = app("echo", &example("echo"));
    // The runtime reads this variable.
    let server = Server::hassock_with(&config, Cores::Both, &[("TOKIO_WORKER_THREADS", count)]);
    Echo::new(server, 32, 64, 1, Measured::Cpu).await
}

async fn disturbed(disturbance: Disturbance) -> Contest {
    // On one core, the loop that swaps would leave too little of it to the messages.
    let server = Server::hassock_with(&Deploys::config(), Cores::Both, &[]);
    let clients = PacedClients::connect_to(server, Deploys::PATH).await;
    Contest::new(Paced(clients.clone()), Deploys { clients, disturbance, rounds: 0 })
}
