//! From a connection to an accepted WebSocket: hyper reads the request, the path names the app, and the origin
//! check and the module decide whether it is accepted.

mod answer;
mod authentication;
mod client;
mod compression;
mod decision;
mod health;
mod library;
mod page;
mod public;
mod resume;
mod upgrade;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub(crate) use page::PATH as TEST_PAGE;

use resume::Admitted;

use crate::app::connection::{Close, Opened, Slot};
use crate::handshake_counts::HandshakeOutcome;
use crate::host_state::HostState;
use crate::request::ClientAddress;
use crate::socket::{PatientSocket, Transport};

/// How long a client with too many connections from its address has to read the response.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// How long running requests may take when the host stops.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// An accepted handshake, until hyper releases the socket.
struct Pending {
    admitted: Admitted,
    upgrade: OnUpgrade,
}

/// Who connected.
#[derive(Clone)]
pub struct Client {
    /// The address of the socket, or what a proxy said at the beginning of the connection.
    pub address: ClientAddress,
    /// What it takes up of the bounds of the host.
    pub slot: Slot,
    /// Whether it used TLS.
    pub is_secure: bool,
    /// Whether header fields say nothing about it, although it comes from a proxy.
    pub is_resolved: bool,
}

/// Serve HTTP until a request becomes a WebSocket. Returns the socket, the bytes that were read beyond the request, and
/// the opened connection. None if there was only plain HTTP, and if the socket belongs to a connection that the client had
/// before, whose session has it now.
pub async fn serve<S: Transport>(socket: S, client: Client, state: &Arc<HostState>) -> Option<(S, Bytes, Opened)> {
    let accepted: Arc<Mutex<Option<Pending>>> = Arc::default();
    drive_http(socket, client, state, &accepted).await;
    let Pending { admitted, upgrade } = accepted.lock().take()?;
    let upgraded = upgrade.await.map(|upgraded| upgraded.downcast::<TokioIo<PatientSocket<S>>>());
    match (upgraded, admitted) {
        (Ok(Ok(Parts { io, read_buf, .. })), Admitted::New(opened)) => {
            Some((io.into_inner().into_inner(), read_buf, opened))
        }
        (Ok(Ok(Parts { io, read_buf, .. })), Admitted::Again(client)) => {
            client.arrive(io.into_inner().into_inner(), read_buf);
            None
        }
        (_, Admitted::New(opened)) => {
            opened.finish(Close::lost("the client went away during the handshake")).await;
            None
        }
        (_, Admitted::Again(_)) => None,
    }
}

/// Boxed, so that an open connection does not keep the memory that hyper needs.
async fn drive_http(
    socket: impl Transport,
    client: Client,
    state: &Arc<HostState>,
    accepted: &Arc<Mutex<Option<Pending>>>,
) {
    let peer = client.address;
    let service = service_fn(|request| {
        let (state, accepted) = (Arc::clone(state), Arc::clone(accepted));
        let client = client.clone();
        async move { Ok::<_, Infallible>(upgrade::answer(request, client, &state, &accepted).await) }
    });
    let routing = state.routing();
    let patience = routing.limits.handshake_timeout.get();
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // In a simulation, the current time is not the one that hyper would write.
        .auto_date_header(state.context.simulation().is_none())
        .header_read_timeout(patience)
        .max_buf_size(routing.limits.request_head_bytes.bytes())
        .serve_connection(TokioIo::new(PatientSocket::new(socket, patience)), service)
        .with_upgrades();
    drop(routing);
    let mut http = Box::pin(http);
    let result = tokio::select! {
        result = &mut http => result,
        () = state.draining.cancelled() => {
            http.as_mut().graceful_shutdown();
            // A request that was only partly received is dropped; a running `open` continues in its own task.
            timeout(LAST_REQUESTS, http).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        state.handshakes.count(HandshakeOutcome::Malformed);
        tracing::debug!(%peer, %error, "a request was cut off");
    }
}

/// Tell a client that its address has too many connections, without reading its request.
pub async fn turn_away(mut socket: impl Transport) {
    let goodbye = async {
        socket.write_all(answer::TOO_MANY_CONNECTIONS.as_bytes()).await?;
        socket.shutdown().await?;
        let mut discarded = [0; 1024];
        while socket.read(&mut discarded).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(TURNED_AWAY, goodbye).await;
}
