//! Accepting TCP connections: each under a permit, so that their number is bounded before they cost anything.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::handshake::{self, Doors};
use crate::session;

/// How long to wait when the process has no file handle left: others have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// Clients that are told at the same time that their address has too many connections; more are cut off.
const TURNED_AWAY: usize = 64;

/// Accept connections until the host drains. Each is served by a task of its own.
pub async fn listen(listener: TcpListener, doors: Arc<Doors>) {
    let permits = Arc::new(Semaphore::new(doors.limits.max_connections));
    let addresses = Arc::new(Addresses { open: Mutex::default(), most: doors.limits.connections_per_address });
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    loop {
        let accepted = tokio::select! {
            () = doors.draining.cancelled() => return,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((socket, peer, permit)) => {
                let Some(place) = Addresses::enter(&addresses, peer.ip()) else {
                    // Not under a permit: an address with too many connections must not keep others out.
                    drop(permit);
                    turn_away(socket, &turned_away, &doors);
                    continue;
                };
                let doors = Arc::clone(&doors);
                doors.tasks.clone().spawn(async move {
                    serve(socket, peer, &doors).await;
                    drop((place, permit));
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; is the limit of open files too low?");
                sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

/// Say why, if not too many are being told already.
fn turn_away(socket: TcpStream, turned_away: &Arc<Semaphore>, doors: &Doors) {
    if let Ok(place) = Arc::clone(turned_away).try_acquire_owned() {
        doors.tasks.spawn(async move {
            handshake::turn_away(socket).await;
            drop(place);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    // Messages are written when they are complete; to hold them back for more to come only costs time.
    socket.set_nodelay(true)?;
    Ok((socket, peer, permit))
}

async fn serve(socket: TcpStream, peer: SocketAddr, doors: &Arc<Doors>) {
    // Boxed: what the handshake needs is given back before the session begins.
    if let Some((socket, read_ahead, opened)) = Box::pin(handshake::serve(socket, peer, doors)).await {
        session::run(socket, read_ahead, opened).await;
    }
}

/// Errors that are about one connection that is gone already.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected)
}

/// How many connections each address has.
struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
}

/// One connection's place in the count of its address.
struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn enter(addresses: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = addresses.open.lock();
        let count = open.entry(address).or_default();
        if *count >= addresses.most {
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
