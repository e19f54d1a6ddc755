//! The HTTP client that carries spans. The thread that sends them belongs to no runtime, so the requests run on that of the
//! host.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::http_client::{Authorities, exchange};

/// Bytes of an answer. A collector says little.
const ANSWER: usize = 64 << 10;

/// Sends requests, each on a connection of its own: there is about one a second.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Handle,
    timeout: Duration,
}

impl Client {
    /// A client that runs on the runtime of the caller.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { runtime: Handle::current(), timeout }
    }
}

#[wasmtime_wasi::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let limit = self.timeout;
        let exchange = async move { timeout(limit, exchange(request, &Authorities::Public, ANSWER)).await };
        self.runtime.spawn(exchange).await??
    }
}
