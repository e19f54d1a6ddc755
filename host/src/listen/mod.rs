//! Accepts connections. Each one needs a permit, so that their number is bounded before they use resources.

mod capacity;
mod prepare;
mod proxy_protocol;

use std::io;
use std::net::SocketAddr;
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
use crate::host_state::HostState;
use crate::request::ClientAddress;
use crate::session::{self, Transport};
use crate::socket::{Listener, Socket};

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
    /// TLS, if its clients speak it.
    pub tls: Option<TlsAcceptor>,
    /// Whether a header of the PROXY protocol comes first.
    pub proxy_protocol: bool,
}

/// Accept connections on all listeners until the host drains. Each connection is served by its own task.
pub async fn listen(entrances: Vec<Entrance>, state: Arc<HostState>) {
    let capacity = Arc::new(Capacity::new(state.routing().limits.max_connections));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    for entrance in entrances {
        bound_unsent(&entrance.listener);
        let (capacity, turned_away) = (Arc::clone(&capacity), Arc::clone(&turned_away));
        let accepting = accept_all(Arc::new(entrance), capacity, turned_away, Arc::clone(&state));
        tokio::spawn(accepting);
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

async fn accept_all(
    entrance: Arc<Entrance>,
    capacity: Arc<Capacity>,
    turned_away: Arc<Semaphore>,
    state: Arc<HostState>,
) {
    loop {
        let accepted = tokio::select! {
            () = state.draining.cancelled() => return,
            accepted = accept(&entrance.listener, &capacity) => accepted,
        };
        match accepted {
            Ok((socket, peer, permit)) => admit(&entrance, socket, peer, permit, &turned_away, &state),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; the limit of open files may be too low");
                sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

/// The permit comes after the connection: a listener that waits for clients must not keep it from another one.
async fn accept(listener: &Listener, capacity: &Arc<Capacity>) -> io::Result<(Socket, Option<SocketAddr>, Permit)> {
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, capacity.permit().await?))
}

/// Serve a connection in a task of its own, unless its address has too many. A proxy has as many as it likes: what counts
/// is the client that it names later.
fn admit(
    entrance: &Arc<Entrance>,
    socket: Socket,
    peer: Option<SocketAddr>,
    permit: Permit,
    turned_away: &Arc<Semaphore>,
    state: &Arc<HostState>,
) {
    let address = peer.map_or(ClientAddress::Local, ClientAddress::Socket);
    let routing = state.routing();
    let is_proxy = routing.proxies.trusts(&address);
    if entrance.proxy_protocol && !is_proxy {
        tracing::warn!(peer = %address, "refused: the listener expects the PROXY protocol, and this is none of `trusted_proxies`");
        return;
    }
    let slot = match address.ip().filter(|_| !is_proxy) {
        None => Slot::new(permit),
        Some(ip) => match Addresses::enter(&state.addresses, ip, routing.limits.connections_per_address) {
            Some(place) => Slot::new((place, permit)),
            None => {
                // Without a permit, so that an address with too many connections does not keep other clients out.
                drop(permit);
                // TLS would need a handshake first, which costs more than such a client is worth.
                if entrance.tls.is_none() {
                    turn_away(socket, turned_away, state);
                }
                return;
            }
        },
    };
    let client = Client { address, slot, is_secure: false };
    let (entrance, state) = (Arc::clone(entrance), Arc::clone(state));
    let tasks = state.context.tasks.clone();
    tasks.spawn(async move {
        let ready = match entrance.proxy_protocol || entrance.tls.is_some() {
            true => Box::pin(prepare::prepare(&entrance, socket, client, &state)).await,
            false => Some((socket, client)),
        };
        if let Some((socket, client)) = ready {
            serve(socket, client, &state).await;
        }
    });
}

/// Tell the client the reason, unless too many clients are being told at the same time.
fn turn_away(socket: Socket, turned_away: &Arc<Semaphore>, state: &HostState) {
    if let Ok(place) = Arc::clone(turned_away).try_acquire_owned() {
        state.context.tasks.spawn(async move {
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
        for (what, bytes, measured) in [("the task", task, 1464), ("`Connection`", connection, 376)] {
            assert!(bytes <= measured + measured / 10, "{what} of a connection has {bytes} bytes, not {measured}");
        }
    }
}
