//! Counts what reaches the collector, and says when nothing does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// How many spans were sent, and how many were lost.
#[derive(Debug, Default)]
pub(super) struct SpanCounts {
    sent: AtomicU64,
    lost: AtomicU64,
}

/// Sends spans with OTLP.
#[derive(Debug)]
pub(super) struct Reporting {
    otlp: Otlp,
    endpoint: String,
    counts: Arc<SpanCounts>,
    /// The last spans were lost.
    is_failing: AtomicBool,
}

impl SpanCounts {
    /// How many spans the collector has taken, and how many it has not.
    pub(super) fn report(&self) -> [(&'static str, u64); 2] {
        [("sent", self.sent.load(Ordering::Relaxed)), ("lost", self.lost.load(Ordering::Relaxed))]
    }
}

impl Reporting {
    pub(super) fn new(otlp: Otlp, endpoint: String, counts: Arc<SpanCounts>) -> Self {
        Self { otlp, endpoint, counts, is_failing: AtomicBool::new(false) }
    }
}

impl SpanExporter for Reporting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.otlp.export(batch).await;
        let endpoint = &*self.endpoint;
        match &result {
            Ok(()) => {
                self.counts.sent.fetch_add(spans, Ordering::Relaxed);
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(endpoint, "the collector takes traces again");
                }
            }
            Err(error) => {
                self.counts.lost.fetch_add(spans, Ordering::Relaxed);
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(endpoint, %error, "traces are lost: the collector does not take them; see `traces.endpoint`");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
