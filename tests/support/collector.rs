//! A collector of traces: it takes OTLP over HTTP, and decodes it with the protocol's own types.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::eventually;

/// A running collector. It ends when this is dropped.
pub struct Collector {
    /// For `traces.endpoint`.
    pub endpoint: String,
    taken: Arc<Mutex<Taken>>,
    hangs_up: Arc<AtomicBool>,
    listener: JoinHandle<()>,
}

/// What has arrived.
#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    services: Vec<String>,
    /// The header fields of the last request, in small letters.
    head: String,
}

impl Collector {
    /// A collector on a free port.
    ///
    /// # Panics
    /// If there is no port for it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no collector: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let taken = Arc::<Mutex<Taken>>::default();
        let shared = Arc::clone(&taken);
        let hangs_up = Arc::new(AtomicBool::new(false));
        let hanging = Arc::clone(&hangs_up);
        let listener = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if !hanging.load(Ordering::Relaxed) {
                    tokio::spawn(take(socket, Arc::clone(&shared)));
                }
            }
        });
        Self { endpoint: format!("http://{address}/v1/traces"), taken, hangs_up, listener }
    }

    /// Close each new connection without an answer.
    pub fn hang_up(&self) {
        self.hangs_up.store(true, Ordering::Relaxed);
    }

    /// Answer again.
    pub fn answer(&self) {
        self.hangs_up.store(false, Ordering::Relaxed);
    }

    /// All spans that have arrived.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.lock().spans.clone()
    }

    /// The names of the services that have sent them.
    pub fn services(&self) -> Vec<String> {
        self.taken.lock().services.clone()
    }

    /// The header fields of the last request.
    pub fn head(&self) -> String {
        self.taken.lock().head.clone()
    }

    /// The first span of a name, when it has arrived.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn span(&self, name: &str) -> Span {
        let find = || self.spans().into_iter().find(|span| span.name == name);
        eventually(&format!("the span `{name}`"), || async { find().is_some() }).await;
        find().unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// An attribute of a span as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    text(found.value.as_ref()?.value.as_ref()?)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Answer one request, which is all that a connection has.
async fn take(socket: TcpStream, taken: Arc<Mutex<Taken>>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = head.to_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    socket.read_exact(&mut body).await?;
    let request = ExportTraceServiceRequest::decode(body.as_slice()).map_err(std::io::Error::other)?;
    {
        let mut taken = taken.lock();
        taken.head = head;
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let name = attributes.iter().find(|attribute| attribute.key == "service.name");
            let name = name.and_then(|name| text(name.value.as_ref()?.value.as_ref()?));
            taken.services.extend(name);
            taken.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    socket.get_mut().write_all(answer.as_bytes()).await
}
