//! The socket of the API, and the tasks that serve its connections.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Api;
use crate::socket::{Listener, PatientSocket, Socket};
use crate::tls;

/// Buffer for the head of a request, and for what is read of a body at once.
const BUFFER_BYTES: usize = 64 << 10;

/// How long requests that are in progress may continue when the host stops.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long to wait when the process has no file descriptor left: others have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// What all connections share.
pub(super) struct Shared {
    pub(super) api: Arc<Api>,
    pub(super) router: Router,
    pub(super) tls: Option<TlsAcceptor>,
}

/// Accept connections until the host drains. Each needs a permit and is served by its own task.
pub(super) async fn listen(listener: Listener, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(shared.api.config.max_connections));
    let (draining, tasks) = (&shared.api.state.draining, &shared.api.tasks);
    loop {
        let accepted = tokio::select! {
            () = draining.cancelled() => return,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((socket, permit)) => {
                let shared = Arc::clone(&shared);
                tasks.spawn(async move {
                    let open = shared.api.state.api.connection();
                    serve(socket, &shared).await;
                    drop((open, permit));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to the API");
                sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

/// The permit comes first, so that clients for which there is no room wait in the kernel's queue.
async fn accept(listener: &Listener, permits: &Arc<Semaphore>) -> io::Result<(Socket, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    Ok((listener.accept().await?.0, permit))
}

/// Serve the requests of a connection.
async fn serve(socket: Socket, shared: &Shared) {
    let (config, draining) = (&shared.api.config, &shared.api.state.draining);
    let patience = config.request_timeout.get();
    let Some(socket) = encrypt(socket, shared).await else { return };
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // This is also how long a connection may be idle.
        .header_read_timeout(config.idle_timeout.get())
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(
            TokioIo::new(PatientSocket::new(socket, patience)),
            TowerToHyperService::new(shared.router.clone()),
        );
    let mut http = pin!(http);
    let result = tokio::select! {
        result = &mut http => result,
        () = draining.cancelled() => {
            http.as_mut().graceful_shutdown();
            timeout(LAST_REQUESTS, http).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the API was cut off");
    }
}

/// Make the handshake of TLS, if the listener speaks it. None if it fails.
async fn encrypt(socket: Socket, shared: &Shared) -> Option<Socket> {
    let Some(acceptor) = &shared.tls else { return Some(socket) };
    let limit = shared.api.config.request_timeout.get();
    let accepted = tokio::select! {
        accepted = timeout(limit, tls::accept(acceptor, socket)) => accepted,
        () = shared.api.state.draining.cancelled() => return None,
    };
    match accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Some(Socket::Tls(Box::new(stream))),
        Err(error) => {
            tracing::debug!(%error, "a connection to the API ended before its first request");
            None
        }
    }
}
