//! Accepts connections. Each one needs a permit, so that their number is bounded before they use resources.

mod capacity;
mod preamble;
mod proxy_protocol;

use std::io;
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use capacity::{Capacity, Permit};

use crate::addresses::Addresses;
use crate::app::connection::Slot;
use crate::handshake::{self, Client};
use crate::handshake_counts::HandshakeOutcome;
use crate::host_state::HostState;
use crate::request::ClientAddress;
use crate::session;
use crate::socket::{Listener, Socket, Transport};

/// How long to wait when the process has no file descriptor left: other connections have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// How many clients are told at the same time that their address has too many connections. Further ones are
/// disconnected without a response.
const TURNED_AWAY: usize = 64;

/// How many bytes the kernel takes for a connection before they are sent, which is enough to keep a fast line busy. Without
/// a bound it takes megabytes, which no budget of the host counts, and asks for more only when a third of them is gone: a
/// client that reads slowly would seem to make no progress for longer than `write_timeout`.
const UNSENT: u32 = 128 << 10;

/// A listening socket, and what its connections begin with.
pub struct Entrance {
    /// The socket.
    pub listener: Listener,
    /// What comes before the first request.
    pub preamble: Preamble,
}

/// What the connections of a listener begin with.
pub struct Preamble {
    /// TLS, if its clients speak it.
    pub tls: Option<TlsAcceptor>,
    /// Whether a header of the PROXY protocol comes first.
    pub proxy_protocol: bool,
}

/// What a listener and its connections share. It does not have the listening socket, which must close when the host drains.
struct Shared {
    preamble: Preamble,
    capacity: Arc<Capacity>,
    /// Clients that are being told that their address has too many connections.
    turned_away: Arc<Semaphore>,
    state: Arc<HostState>,
}

/// Accept connections on all listeners until the host drains. Each connection is served by its own task.
pub async fn listen(entrances: Vec<Entrance>, state: Arc<HostState>) {
    let capacity = Arc::new(Capacity::new(state.routing().limits.max_connections));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    for Entrance { listener, preamble } in entrances {
        bound_unsent(&listener);
        let (capacity, turned_away) = (Arc::clone(&capacity), Arc::clone(&turned_away));
        let shared = Shared { preamble, capacity, turned_away, state: Arc::clone(&state) };
        // The drain waits for this, so that nobody listens any more when it has ended.
        state.context.tasks.spawn(accept_all(listener, Arc::new(shared)));
    }
    loop {
        tokio::select! {
            () = state.draining.cancelled() => return,
            () = state.changed.notified() => capacity.resize(state.routing().limits.max_connections),
        }
    }
}

/// Serve one connection, from the first byte of its request to the last byte of its WebSocket.
pub async fn serve(socket: impl Transport, client: Client, state: &Arc<HostState>) {
    // Boxed, so that the memory of the handshake is freed before the session begins. The connection keeps the slot.
    if let Some((socket, read_ahead, opened)) = Box::pin(handshake::serve(socket, client, state)).await {
        session::run(socket, read_ahead, opened).await;
    }
}

async fn accept_all(listener: Listener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.state.draining.cancelled() => return,
            accepted = accept(&listener, &shared.capacity) => accepted,
        };
        match accepted {
            Ok((socket, peer, permit)) => admit(&shared, socket, peer, permit),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; the limit of open files may be too low");
                sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

/// The permit comes after the connection: a listener that waits for clients must not keep it from another one.
async fn accept(listener: &Listener, capacity: &Arc<Capacity>) -> io::Result<(Socket, ClientAddress, Permit)> {
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, capacity.permit().await?))
}

/// Serve a connection in a task of its own, unless its address has too many. A proxy has as many as it likes: what counts
/// is the client that it names later.
fn admit(shared: &Arc<Shared>, socket: Socket, address: ClientAddress, permit: Permit) {
    let (state, preamble) = (&shared.state, &shared.preamble);
    let routing = state.routing();
    let is_proxy = routing.proxies.trusts(&address);
    if preamble.proxy_protocol && !is_proxy {
        state.handshakes.count(HandshakeOutcome::ProxyProtocol);
        tracing::warn!(peer = %address, "refused: the listener expects the PROXY protocol, and this is none of `trusted_proxies`");
        return;
    }
    let slot = match is_proxy {
        true => Slot::new(permit),
        false => match Addresses::enter(&state.addresses, &address, routing.limits.connections_per_address) {
            Some(place) => Slot::new((place, permit)),
            // Without the permit, so that an address with too many connections does not keep other clients out.
            None => return turn_away(shared, socket),
        },
    };
    let client = Client { address, slot, is_secure: false, is_resolved: false };
    let shared = Arc::clone(shared);
    let tasks = state.context.tasks.clone();
    tasks.spawn(async move {
        let ready = match shared.preamble.proxy_protocol || shared.preamble.tls.is_some() {
            true => Box::pin(preamble::before_http(&shared, socket, client)).await,
            false => Some((socket, client)),
        };
        if let Some((socket, client)) = ready {
            serve(socket, client, &shared.state).await;
        }
    });
}

/// Tell a client that its address has too many connections, unless too many clients are being told at the same time. TLS would
/// need a handshake first, which costs more than such a client is worth.
fn turn_away(shared: &Shared, socket: Socket) {
    shared.state.handshakes.count(HandshakeOutcome::TooMany);
    if shared.preamble.tls.is_none()
        && let Ok(place) = Arc::clone(&shared.turned_away).try_acquire_owned()
    {
        shared.state.context.tasks.spawn(async move {
            handshake::turn_away(socket).await;
            drop(place);
        });
    }
}

/// The connections that are accepted have the options of the listener.
fn bound_unsent(listener: &Listener) {
    #[cfg(target_os = "linux")]
    if let Listener::Tcp(listener) = listener
        && let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(UNSENT)
    {
        tracing::warn!(%error, "the kernel takes more bytes for slow clients than the host wants");
    }
}

/// Errors that concern one connection, which is already closed.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function returns.
    fn size_of_future<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Most of the memory of an idle connection. If this fails, find out what has grown, or change the number and say in
    /// the commit why that is worth the memory of each connection.
    #[test]
    fn an_idle_connection_stays_small() {
        let task = size_of_future(|socket: Socket, client, state: &'static _| serve(socket, client, state));
        let connection = size_of::<crate::app::connection::Connection>();
        for (what, bytes, measured) in [("the task", task, 1464), ("`Connection`", connection, 424)] {
            assert!(bytes <= measured + measured / 10, "{what} of a connection has {bytes} bytes, not {measured}");
        }
    }
}
