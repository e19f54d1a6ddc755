//! Metrics of the whole host.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use tokio::runtime::Handle;

use super::family::Family;
use crate::deploy::HostFigures;
use crate::telemetry;

#[derive(Debug)]
pub(super) struct Scrape(pub(super) HostFigures);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let version = [(vec![], env!("CARGO_PKG_VERSION"))];
        Family::new("build", "The version of the host.").each(
            &mut encoder,
            MetricType::Info,
            version,
            |version, mut sample| sample.encode_info(&[("version", version)]),
        )?;
        self.connections(&mut encoder)?;
        self.memory(&mut encoder)?;
        let spans = self.0.spans.iter().map(|(outcome, count)| (vec![("outcome", *outcome)], *count));
        let help = "Spans that the collector of `[traces]` has taken, and those that it has not.";
        Family::new("spans", help).counters(&mut encoder, spans)?;
        runtime(&mut encoder)?;
        let help = "Lines of the log that were left out: more than `log.lines_per_second`, or read too slowly.";
        let left_out = telemetry::left_out().map(|(reason, lines)| (vec![("reason", reason)], lines));
        Family::new("log_lines_left_out", help).counters(&mut encoder, left_out)
    }
}

impl Scrape {
    fn connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let figures = &self.0;
        let help = "WebSockets that are open, of all apps.";
        Family::new("open_connections", help).gauges(encoder, [(vec![], figures.connections)])?;
        let help = "The most connections: `limits.max_connections`.";
        Family::new("connections_limit", help).gauges(encoder, [(vec![], figures.connections_limit)])?;
        let help = "Connections and handshakes that reached no app, by how they ended.";
        let outcomes = figures.handshakes.iter().map(|(outcome, count)| (vec![("outcome", *outcome)], *count));
        Family::new("unrouted_handshakes", help).counters(encoder, outcomes)
    }

    fn memory(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let memory = &self.0.memory;
        let help = "What clients and modules may make the host keep in memory: `limits.memory_budget`.";
        Family::bytes("memory_budget", help).gauges(encoder, [(vec![], memory.limit)])?;
        let used = memory.used.iter().map(|(what_for, used)| (vec![("use", *what_for)], *used));
        Family::bytes("memory_used", "What is used of the memory budget.").gauges(encoder, used)?;
        let help = "Connections that were closed because the memory budget was used up.";
        Family::new("memory_closes", help).counters(encoder, [(vec![], memory.closed)])
    }
}

/// What the runtime says of itself.
fn runtime(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Ok(runtime) = Handle::try_current() else { return Ok(()) };
    let metrics = runtime.metrics();
    Family::new("runtime_workers", "Threads that run the tasks of the host.")
        .gauges(encoder, [(vec![], metrics.num_workers())])?;
    Family::new("runtime_tasks", "Tasks that have not ended, at least one for each connection.")
        .gauges(encoder, [(vec![], metrics.num_alive_tasks())])?;
    Family::new("runtime_queued_tasks", "Tasks that wait for any worker.")
        .gauges(encoder, [(vec![], metrics.global_queue_depth())])
}
