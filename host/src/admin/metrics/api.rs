//! Metrics of the API.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::Family;
use crate::deploy::ApiFigures;

/// Writes nothing if the host has no API.
#[derive(Debug)]
pub(super) struct Scrape(pub(super) Option<ApiFigures>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(ApiFigures { report, connections_limit }) = &self.0 else { return Ok(()) };
        let status = |status: u16| status.to_string();
        let requests: Vec<_> =
            report.requests.iter().map(|(operation, code, count)| (operation, status(*code), *count)).collect();
        let samples = requests
            .iter()
            .map(|(operation, status, count)| (vec![("operation", &***operation), ("status", status)], *count));
        Family::new("api_requests", "Requests to the API.").counters(&mut encoder, samples)?;
        let help = "How long requests to the API took, until there was a response.";
        Family::seconds("api_request_duration", help).histograms(&mut encoder, [(vec![], &report.times)])?;
        let help = "Connections to the API that are open.";
        Family::new("api_connections", help).gauges(&mut encoder, [(vec![], report.connections)])?;
        let help = "The most connections to the API: `api.max_connections`.";
        Family::new("api_connections_limit", help).gauges(&mut encoder, [(vec![], *connections_limit)])
    }
}
