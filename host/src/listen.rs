//! Accepts TCP connections. Each one needs a permit, so that their number is bounded before they use resources.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::app::connection::Slot;
use crate::handshake::{self, Client};
use crate::host_state::HostState;
use crate::session::{self, Transport};

/// How long to wait when the process has no file descriptor left: other connections have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// How many clients are told at the same time that their address has too many connections. Further ones are
/// disconnected without a response.
const TURNED_AWAY: usize = 64;

/// How many bytes the kernel takes for a connection before they are sent, which is enough to keep a fast line busy. Without
/// a bound it takes megabytes, which no budget of the host counts, and asks for more only when a third of them is gone: a
/// client that reads slowly would seem to make no progress for longer than `write_timeout`.
const UNSENT: u32 = 128 << 10;

/// Accept connections until the host drains. Each connection is served by its own task.
pub async fn listen(listener: TcpListener, state: Arc<HostState>) {
    let capacity = Arc::new(Capacity::new(state.routing().limits.max_connections));
    let addresses = Arc::default();
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    bound_unsent(&listener);
    loop {
        let accepted = tokio::select! {
            () = state.draining.cancelled() => return,
            () = state.changed.notified() => {
                capacity.resize(state.routing().limits.max_connections);
                continue;
            }
            accepted = accept(&listener, &capacity) => accepted,
        };
        match accepted {
            Ok((socket, peer, permit)) => {
                let most = state.routing().limits.connections_per_address;
                let Some(place) = Addresses::enter(&addresses, network(peer.ip()), most) else {
                    // Without a permit, so that an address with too many connections does not keep other clients out.
                    drop(permit);
                    turn_away(socket, &turned_away, &state);
                    continue;
                };
                let client = Client { address: peer, slot: Slot::new((place, permit)) };
                let state = Arc::clone(&state);
                state.context.tasks.clone().spawn(async move { serve(socket, client, &state).await });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; the limit of open files may be too low");
                sleep(OUT_OF_HANDLES).await;
            }
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

/// Tell the client the reason, unless too many clients are being told at the same time.
fn turn_away(socket: TcpStream, turned_away: &Arc<Semaphore>, state: &HostState) {
    if let Ok(place) = Arc::clone(turned_away).try_acquire_owned() {
        state.context.tasks.spawn(async move {
            handshake::turn_away(socket).await;
            drop(place);
        });
    }
}

/// The connections that are accepted have the options of the listener.
fn bound_unsent(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(UNSENT) {
        tracing::warn!(%error, "the kernel takes more bytes for slow clients than the host wants");
    }
}

async fn accept(listener: &TcpListener, capacity: &Arc<Capacity>) -> io::Result<(TcpStream, SocketAddr, Permit)> {
    let permit = capacity.permit().await?;
    let (socket, peer) = listener.accept().await?;
    // The host writes complete messages, so waiting for more data before sending would only add latency.
    socket.set_nodelay(true)?;
    Ok((socket, peer, permit))
}

/// Errors that concern one connection, which is already closed.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected)
}

/// The maximum number of connections, which a reload of the config can change.
struct Capacity {
    permits: Arc<Semaphore>,
    size: Mutex<usize>,
    /// How many permits to remove as soon as they are returned.
    excess: Mutex<usize>,
}

/// The permission to serve one connection.
struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    capacity: Arc<Capacity>,
}

impl Capacity {
    fn new(size: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(size)), size: Mutex::new(size), excess: Mutex::default() }
    }

    async fn permit(self: &Arc<Self>) -> io::Result<Permit> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        Ok(Permit { permit: Some(permit), capacity: Arc::clone(self) })
    }

    fn resize(&self, size: usize) {
        let before = std::mem::replace(&mut *self.size.lock(), size);
        let mut excess = self.excess.lock();
        if size < before {
            let surplus = before - size;
            *excess += surplus - self.permits.forget_permits(surplus);
        } else {
            let wanted = size - before;
            let kept = wanted.min(*excess);
            *excess -= kept;
            self.permits.add_permits(wanted - kept);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut excess = self.capacity.excess.lock();
        if *excess > 0
            && let Some(permit) = self.permit.take()
        {
            *excess -= 1;
            permit.forget();
        }
    }
}

/// The number of connections from each address.
#[derive(Default)]
struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// What counts as one address: a customer of a provider usually has a whole /64 of IPv6 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Counts one connection for its address.
struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn enter(addresses: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let mut open = addresses.open.lock();
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { addresses: Arc::clone(addresses), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
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
        let task = size_of_future(|socket: TcpStream, client, state: &'static _| serve(socket, client, state));
        let connection = size_of::<crate::app::connection::Connection>();
        for (what, bytes, measured) in [("the task", task, 1464), ("`Connection`", connection, 376)] {
            assert!(bytes <= measured + measured / 10, "{what} of a connection has {bytes} bytes, not {measured}");
        }
    }

    #[test]
    fn a_network_counts_as_one_address() {
        let network = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[tokio::test]
    async fn a_smaller_capacity_takes_effect_as_connections_end() {
        let capacity = Arc::new(Capacity::new(3));
        let (one, two) = (capacity.permit().await.unwrap(), capacity.permit().await.unwrap());
        capacity.resize(1);
        assert_eq!(capacity.permits.available_permits(), 0);
        drop(one);
        assert_eq!(capacity.permits.available_permits(), 0, "two were open, but one is allowed");
        capacity.resize(2);
        assert_eq!(capacity.permits.available_permits(), 1);
        drop(two);
        assert_eq!(capacity.permits.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_capacity_that_grows_again_forgets_what_it_wanted_back() {
        let capacity = Arc::new(Capacity::new(2));
        let (one, two) = (capacity.permit().await.unwrap(), capacity.permit().await.unwrap());
        capacity.resize(1);
        capacity.resize(3);
        drop((one, two));
        assert_eq!(capacity.permits.available_permits(), 3);
    }
}
