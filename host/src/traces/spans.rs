//! The spans of a call, and of what a module does in it.

use std::sync::{Arc, OnceLock};

use opentelemetry::trace::{Link, Span, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span as SdkSpan;

use super::handshake::random;
use super::{Traces, cut};

/// A call that is traced. Its spans end when the last reference is dropped.
pub(crate) struct CallTrace {
    traces: Arc<Traces>,
    export: &'static str,
    /// From the moment at which the call is to be made, or the handshake.
    outer: Context,
    /// Whether `outer` is a handshake, which goes on after the call.
    is_handshake: bool,
    /// In an instance.
    call: OnceLock<Context>,
}

/// A statement that is about to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    /// The database's name in the config.
    pub(crate) database: &'a str,
    /// `mysql` or `sqlite`
    pub(crate) system: &'static str,
    /// Its text without parameters, or what it does.
    pub(crate) text: &'a str,
}

/// The span of a message that is published. It ends when this is dropped.
pub(crate) struct PublishTrace(SdkSpan);

/// The span of a statement. It ends when this is dropped.
pub(crate) struct StatementTrace(SdkSpan);

impl Traces {
    /// Begin the spans of a call. A call for a connection belongs to its handshake; one of the app itself is traced if it is
    /// one of the sample.
    pub(crate) fn call(
        self: &Arc<Self>,
        app: &str,
        export: &'static str,
        connection: Option<u64>,
    ) -> Option<CallTrace> {
        let handshake = match connection {
            Some(connection) => Some(self.handshake_of(connection)?),
            None => None,
        };
        if handshake.is_none() && !self.sample.includes(random()) {
            return None;
        }
        let is_handshake = export == "open";
        let outer = match handshake {
            Some(handshake) if is_handshake => Context::new().with_remote_span_context(handshake),
            handshake => {
                let mut attributes = vec![KeyValue::new("hassock.app", app.to_owned())];
                attributes.extend(connection.map(|id| KeyValue::new("hassock.connection", id.cast_signed())));
                let links = handshake.map(Link::with_context).into_iter().collect();
                let span = self
                    .tracer
                    .span_builder(format!("{app} {export}"))
                    .with_kind(SpanKind::Server)
                    .with_attributes(attributes)
                    .with_links(links);
                Context::new().with_span(self.tracer.build_with_context(span, &Context::new()))
            }
        };
        Some(CallTrace { traces: Arc::clone(self), export, outer, is_handshake, call: OnceLock::new() })
    }
}

impl CallTrace {
    /// An instance of a version was found for the call.
    pub(crate) fn begun(&self, version: &str) {
        let attributes =
            vec![KeyValue::new("hassock.export", self.export), KeyValue::new("hassock.version", version.to_owned())];
        let span = self.traces.tracer.span_builder(format!("call {}", self.export)).with_attributes(attributes);
        let span = self.traces.tracer.build_with_context(span, &self.outer);
        let _ = self.call.set(Context::new().with_span(span));
    }

    /// The call has failed. The text of an error may quote a message or a parameter, so it stays here.
    pub(crate) fn failed(&self, kind: &'static str) {
        let outer = Some(&self.outer).filter(|_| !self.is_handshake);
        for context in outer.into_iter().chain(self.call.get()) {
            context.span().set_attribute(KeyValue::new("error.type", kind));
            context.span().set_status(Status::error(kind));
        }
    }

    /// A statement is about to run.
    pub(crate) fn statement(&self, statement: Statement<'_>) -> StatementTrace {
        let text = cut(statement.text);
        let attributes = vec![
            KeyValue::new("db.system.name", statement.system),
            KeyValue::new("db.namespace", statement.database.to_owned()),
            KeyValue::new("db.query.text", text.clone()),
        ];
        let verb = text.split(|letter: char| !letter.is_ascii_alphabetic()).find(|word| !word.is_empty());
        let verb = verb.unwrap_or_default().to_ascii_uppercase();
        let span = self
            .traces
            .tracer
            .span_builder(format!("{verb} {}", statement.database))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        StatementTrace(self.traces.tracer.build_with_context(span, self.inner()))
    }

    /// A message is to be published.
    pub(crate) fn publish(&self, topic: &str) -> PublishTrace {
        let attributes = vec![
            KeyValue::new("messaging.system", "hassock"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.destination.name", cut(topic)),
        ];
        let span = self.traces.tracer.span_builder("publish").with_kind(SpanKind::Producer).with_attributes(attributes);
        PublishTrace(self.traces.tracer.build_with_context(span, self.inner()))
    }

    fn inner(&self) -> &Context {
        self.call.get().unwrap_or(&self.outer)
    }
}

impl Drop for CallTrace {
    fn drop(&mut self) {
        if let Some(call) = self.call.get() {
            call.span().end();
        }
        if !self.is_handshake {
            self.outer.span().end();
        }
    }
}

impl PublishTrace {
    /// The message was queued for so many subscribers.
    pub(crate) fn reached(mut self, subscribers: u32) {
        self.0.set_attribute(KeyValue::new("hassock.subscribers", i64::from(subscribers)));
        self.0.end();
    }
}

impl StatementTrace {
    /// The statement has ended.
    pub(crate) fn ended(mut self, error: Option<&'static str>) {
        if let Some(kind) = error {
            self.0.set_attribute(KeyValue::new("error.type", kind));
            self.0.set_status(Status::error(kind));
        }
        self.0.end();
    }
}
