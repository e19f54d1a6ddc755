//! Traces: handshakes, calls, statements and published messages as spans, sent to a collector with OTLP.
//!
//! Whether a connection is traced is decided at its handshake. Its handshake with the call of `open` is one trace, which
//! continues that of the client (W3C Trace Context); each later call is a trace of its own, with a link to the handshake: a
//! connection may last for days, and a trace should end. Without the table `[traces]` nothing of this exists.

mod client;
mod export;
mod handshake;
mod spans;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

pub(crate) use handshake::{Asker, HandshakeTrace};
pub(crate) use spans::{CallTrace, Statement, StatementTrace};

use crate::config::{Sample, TracesConfig};
use client::Client;
use export::{Bounded, Reporting, SpanCounts};

/// Bytes of a text in a span.
const LONGEST: usize = 1 << 10;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("no traces can be sent: {0}; see `traces`")]
pub struct TracesError(#[from] ExporterBuildError);

/// What makes spans, and sends them.
pub struct Traces {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    sample: Sample,
    follow_clients: bool,
    timeout: Duration,
    counts: Arc<SpanCounts>,
    /// The handshakes of the connections that are traced.
    connections: Mutex<HashMap<u64, SpanContext>>,
}

impl Traces {
    /// Send traces as the config says, from a thread of its own.
    ///
    /// # Errors
    /// If the config cannot be used.
    pub(crate) fn start(config: &TracesConfig) -> Result<Arc<Self>, TracesError> {
        let timeout = config.timeout.get();
        let headers = config.headers.iter().map(|(name, value)| (name.clone(), value.0.clone()));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(timeout))
            .with_endpoint(&config.endpoint)
            .with_headers(headers.collect())
            .with_timeout(timeout)
            .build()?;
        let counts = Arc::new(SpanCounts::default());
        let exporter = Reporting::new(exporter, config.endpoint.clone(), Arc::clone(&counts));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(exporter, config.queued_spans))
            // The host decides for each connection, and makes no spans for others.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(Resource::builder().with_service_name(config.service_name.clone()).build())
            .build();
        Ok(Arc::new(Self {
            tracer: provider.tracer("hassock"),
            provider,
            sample: config.sample,
            follow_clients: config.follow_clients,
            timeout,
            counts,
            connections: Mutex::default(),
        }))
    }

    /// Forget a connection that has ended.
    pub(crate) fn forget(&self, connection: u64) {
        self.connections.lock().remove(&connection);
    }

    /// How many spans were sent, and how many were lost.
    pub(crate) fn report(&self) -> [(&'static str, u64); 2] {
        self.counts.report()
    }

    /// Send what is left, for as long as the collector may take.
    pub(crate) async fn stop(self: Arc<Self>) {
        let stopped = spawn_blocking(move || self.provider.shutdown_with_timeout(self.timeout)).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }

    fn handshake_of(&self, connection: u64) -> Option<SpanContext> {
        self.connections.lock().get(&connection).cloned()
    }
}

/// As much of a text as a span has: a client or a module chooses its length.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned()
}
