//! Bounds what waits for the collector, counts what reaches it, and says when nothing does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

/// How often spans are sent.
const INTERVAL: Duration = Duration::from_secs(1);

/// Spans in one request.
const LARGEST_BATCH: usize = 512;

/// How many spans were sent, how many were lost, and how many wait.
#[derive(Debug, Default)]
pub(super) struct SpanCounts {
    sent: AtomicU64,
    lost: AtomicU64,
    waiting: AtomicUsize,
}

/// Lets so many spans wait. The library would leave out others too, but not say how many.
#[derive(Debug)]
pub(super) struct Bounded {
    batches: BatchSpanProcessor,
    most: usize,
    counts: Arc<SpanCounts>,
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

impl Bounded {
    pub(super) fn new(exporter: Reporting, most: usize) -> Self {
        let counts = Arc::clone(&exporter.counts);
        let batch = most.min(LARGEST_BATCH);
        let config = BatchConfigBuilder::default()
            // Never reached.
            .with_max_queue_size(most + batch)
            .with_max_export_batch_size(batch)
            .with_scheduled_delay(INTERVAL)
            .build();
        Self { batches: BatchSpanProcessor::builder(exporter).with_batch_config(config).build(), most, counts }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.counts.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
            self.batches.on_end(span);
        } else {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

impl Reporting {
    pub(super) fn new(otlp: Otlp, endpoint: String, counts: Arc<SpanCounts>) -> Self {
        Self { otlp, endpoint, counts, is_failing: AtomicBool::new(false) }
    }
}

impl SpanExporter for Reporting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.otlp.export(batch).await;
        self.counts.waiting.fetch_sub(spans, Ordering::Relaxed);
        let endpoint = &*self.endpoint;
        match &result {
            Ok(()) => {
                self.counts.sent.fetch_add(spans as u64, Ordering::Relaxed);
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(endpoint, "the collector takes traces again");
                }
            }
            Err(error) => {
                self.counts.lost.fetch_add(spans as u64, Ordering::Relaxed);
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
