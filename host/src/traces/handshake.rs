//! The span of a handshake.
//!
//! It continues the trace of the client (`traceparent`), without what other systems have added to it (`tracestate`).

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{Traces, cut};

/// The header fields of W3C Trace Context.
const FIELDS: [&str; 2] = ["traceparent", "tracestate"];

/// A handshake that is traced. Its span ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct HandshakeTrace {
    traces: Arc<Traces>,
    context: Context,
}

/// Who asks for a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// One of `trusted_proxies`.
    TrustedProxy,
    /// Any client.
    Client,
}

impl Traces {
    /// Begin the span of a handshake. None if it is not traced.
    pub(crate) fn handshake(self: &Arc<Self>, path: &str, headers: &HeaderMap, asker: Asker) -> Option<HandshakeTrace> {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Fields(headers));
        let asked = parent.span().span_context().clone();
        // A client chooses the length of the rest, and it is kept for as long as the connection.
        let parent = Context::new().with_remote_span_context(SpanContext::new(
            asked.trace_id(),
            asked.span_id(),
            asked.trace_flags(),
            true,
            TraceState::NONE,
        ));
        let decides = asked.is_valid() && (asker == Asker::TrustedProxy || self.follow_clients);
        let is_traced = match decides {
            true => asked.is_sampled(),
            false => self.sample.includes(random()),
        };
        if !is_traced {
            return None;
        }
        let attributes = vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("url.path", cut(path)),
            KeyValue::new("network.protocol.name", "websocket"),
        ];
        let span = self.tracer.span_builder("handshake").with_kind(SpanKind::Server).with_attributes(attributes);
        let span = self.tracer.build_with_context(span, &parent);
        Some(HandshakeTrace { traces: Arc::clone(self), context: Context::new().with_span(span) })
    }
}

impl HandshakeTrace {
    /// The handshake is that of a connection of an app. Its calls are traced from now on, until it is
    /// [forgotten](Traces::forget).
    pub(crate) fn of_connection(&self, app: &str, connection: u64) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("hassock.app", app.to_owned()));
        span.set_attribute(KeyValue::new("hassock.connection", connection.cast_signed()));
        self.traces.connections.lock().insert(connection, span.span_context().clone());
    }

    /// The header fields with which a module continues the trace, instead of those that the client has sent.
    pub(crate) fn continue_in(&self, headers: &mut Vec<(String, String)>) {
        headers.retain(|(name, _)| !FIELDS.contains(&name.as_str()));
        TraceContextPropagator::new().inject_context(&self.context, &mut Continued(headers));
    }

    /// The handshake was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        // Semantic conventions for HTTP spans: only those of the server are its errors.
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// What a trace is sampled by.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers, nothing is traced except with 100 %.
    if getrandom::fill(&mut bytes).is_err() { u64::MAX } else { u64::from_ne_bytes(bytes) }
}

struct Fields<'a>(&'a HeaderMap);

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Continued<'a>(&'a mut Vec<(String, String)>);

impl Injector for Continued<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.push((key.to_owned(), value));
        }
    }
}
