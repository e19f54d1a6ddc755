//! The socket of the admin listener, and the tasks that serve its connections.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::Api;
use super::response::Streaming;
use crate::config::{AdminAddress, AdminConfig, ListenAddress, SocketMode};
use crate::socket::{ListenError, Listener, Socket};

/// Buffer for the head of a request, and for each part of a module that is read.
const BUFFER_BYTES: usize = 64 << 10;

/// How long requests that are in progress may continue when the host stops.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long to wait when the process has no file descriptor left: others have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// Only the host's user may connect to the Unix socket, as only that user may read the token file.
const SOCKET_MODE: SocketMode = SocketMode(0o600);

/// Listen on an address.
///
/// # Errors
/// If something else listens there, or the system does not allow it.
pub(super) async fn bind(address: &AdminAddress) -> Result<Listener, ListenError> {
    Listener::bind(&ListenAddress::from(address), SOCKET_MODE).await
}

/// Accept connections until the listener stops. Each needs a permit and is served by its own task.
pub(super) async fn listen(
    listener: Listener,
    api: Arc<Api>,
    config: AdminConfig,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(config.max_connections));
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((listener.accept().await?.0, permit))
            } => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (api, stopping, limit) = (Arc::clone(&api), stopping.clone(), config.request_timeout.get());
                tasks.spawn(async move {
                    serve(stream, &api, limit, &stopping).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to the admin listener");
                sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

/// One request per connection: the bounds of a connection are then those of its request.
async fn serve(stream: Socket, api: &Arc<Api>, limit: Duration, stopping: &CancellationToken) {
    let responded = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (api, responded) = (Arc::clone(api), Arc::clone(&responded));
        async move {
            let response = api.respond(request).await;
            match response.extensions().get::<Streaming>().cloned() {
                None => responded.notify_one(),
                // The time to read it counts from its end. The token is cancelled however it ends.
                Some(Streaming(ended)) => drop(tokio::spawn(async move {
                    ended.cancelled().await;
                    responded.notify_one();
                })),
            }
            Ok::<_, Infallible>(response)
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = Box::pin(http);
    let deadline = async {
        tokio::select! {
            // A client that does not read the response must not keep its permit.
            () = async { responded.notified().await; sleep(limit).await } => {}
            () = async { stopping.cancelled().await; sleep(LAST_REQUESTS).await } => {}
        }
    };
    let result = tokio::select! {
        result = &mut http => result,
        () = deadline => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a request to the admin listener was cut off");
    }
}
