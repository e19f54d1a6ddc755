//! The loads: what clients do to a server, in rounds.

mod accepts;
mod bursts;
pub mod client;
mod deploys;
mod dev;
mod echo;
mod fan_out;
mod idle;
mod paced;
mod query;
mod restart;
mod to_one_of;

use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use hdrhistogram::Histogram;

pub use accepts::Accepts;
pub use bursts::{Bursts, Published};
pub use deploys::{Deploys, Disturbance};
pub use dev::Dev;
pub use echo::{Echo, Measured, echo};
pub use fan_out::{FanOut, published};
pub use idle::Idle;
pub use paced::{Clients, PER_SECOND, Paced, PacedClients};
pub use query::Queries;
pub use restart::Restart;
pub use to_one_of::ToOneOf;

use crate::server::Server;

/// Paths of the servers.
pub const ECHO: &str = "/echo";
pub const QUERY: &str = "/query";
pub const SUBSCRIBE: &str = "/probe?topic=news";
pub const PUBLISH: &str = "/probe";

/// How long a round lasts: long enough for the 10 ms in which the kernel counts CPU time.
pub const ROUND: Duration = Duration::from_secs(1);

pub const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// What clients do to a server.
pub trait Load {
    /// Do it for a while.
    fn round(&mut self) -> LocalBoxFuture<'_, Round>;
}

/// What a round has measured.
pub struct Round {
    /// In the unit of the case.
    pub value: f64,
    /// CPU time of the server for one of them, in microseconds. None if it was not measured.
    pub cpu: Option<f64>,
    /// From a message to its answer, in nanoseconds, if that was measured.
    pub times: Option<Histogram<u64>>,
}

impl Round {
    /// A figure without anything else.
    pub fn of(value: f64) -> Self {
        Self { value, cpu: None, times: None }
    }

    /// The 99th percentile of times, in microseconds.
    pub fn of_times(times: Histogram<u64>) -> Self {
        Self { value: times.value_at_quantile(0.99) as f64 / 1e3, cpu: None, times: Some(times) }
    }
}

/// How often the work was done in a second, and what it cost the server.
pub async fn rate(server: &Server, work: impl Future<Output = usize>) -> Round {
    let (cpu, began) = (server.cpu(), Instant::now());
    let done = work.await as f64;
    let (time, cpu) = (began.elapsed(), server.cpu() - cpu);
    Round { value: done / time.as_secs_f64(), cpu: Some(cpu.as_secs_f64() * 1e6 / done), times: None }
}
