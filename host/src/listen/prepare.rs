//! What comes before the first request of some connections: the header of a proxy, and the handshake of TLS.

use std::io;
use std::sync::Arc;

use tokio::time::timeout;

use super::{Entrance, proxy_protocol};
use crate::addresses::Addresses;
use crate::app::connection::Slot;
use crate::handshake::{self, Client};
use crate::host_state::HostState;
use crate::request::ClientAddress;
use crate::socket::Socket;

/// Get a connection ready for its first request, within `handshake_timeout`. None if it has ended.
pub(super) async fn prepare(
    entrance: &Entrance,
    socket: Socket,
    client: Client,
    state: &Arc<HostState>,
) -> Option<(Socket, Client)> {
    let peer = client.address;
    let limit = state.routing().limits.handshake_timeout.get();
    let ready = async {
        let (socket, client) = match entrance.proxy_protocol {
            true => name_client(socket, client, state).await?,
            false => (socket, client),
        };
        encrypt(entrance, socket, client).await
    };
    let result = tokio::select! {
        result = timeout(limit, ready) => result.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        () = state.draining.cancelled() => return None,
    };
    result.inspect_err(|error| tracing::debug!(%peer, %error, "a connection ended before its first request")).ok()
}

/// Read who the client is. It counts for `connections_per_address` from now on.
async fn name_client(mut socket: Socket, mut client: Client, state: &HostState) -> io::Result<(Socket, Client)> {
    let Some(named) = proxy_protocol::read(&mut socket).await? else {
        // The proxy connects for itself, to see whether the host is there.
        return Ok((socket, client));
    };
    client.address = ClientAddress::Socket(named.address);
    client.is_secure = named.is_secure;
    let routing = state.routing();
    if !routing.proxies.trusts(&client.address) {
        let most = routing.limits.connections_per_address;
        let Some(place) = Addresses::enter(&state.addresses, named.address.ip(), most) else {
            handshake::turn_away(socket).await;
            return Err(io::Error::other("the address has too many connections"));
        };
        client.slot = Slot::new((place, client.slot));
    }
    Ok((socket, client))
}

async fn encrypt(entrance: &Entrance, socket: Socket, mut client: Client) -> io::Result<(Socket, Client)> {
    let Some(tls) = &entrance.tls else { return Ok((socket, client)) };
    client.is_secure = true;
    Ok((Socket::Tls(Box::new(tls.accept(socket).await?)), client))
}
