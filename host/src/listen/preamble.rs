//! What comes before the first request of some connections: the header of a proxy, and the handshake of TLS.

use std::io;

use tokio::time::timeout;

use super::proxy_protocol::{self, ProxyHeader};
use super::{Shared, turn_away};
use crate::addresses::Addresses;
use crate::app::connection::Slot;
use crate::handshake::Client;
use crate::handshake_counts::HandshakeOutcome;
use crate::request::ClientAddress;
use crate::socket::Socket;
use crate::tls;

/// Why a connection does not get to its first request.
enum Failure {
    /// Its address has too many connections, and it was told so.
    TurnedAway,
    /// The client does not say what the listener expects, or not in time.
    Broken(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Get a connection ready for its first request, within `handshake_timeout`. None if it has ended.
pub(super) async fn before_http(shared: &Shared, socket: Socket, client: Client) -> Option<(Socket, Client)> {
    let (state, peer) = (&shared.state, client.address);
    let limit = state.routing().limits.handshake_timeout.get();
    let mut step = HandshakeOutcome::ProxyProtocol;
    let ready = async {
        let (socket, client) = match shared.preamble.proxy_protocol {
            true => name_client(shared, socket, client).await?,
            false => (socket, client),
        };
        step = HandshakeOutcome::Tls;
        Ok(encrypt(shared, socket, client).await?)
    };
    let result = tokio::select! {
        result = timeout(limit, ready) => result.unwrap_or_else(|_| Err(Failure::Broken(io::ErrorKind::TimedOut.into()))),
        () = state.draining.cancelled() => return None,
    };
    match result {
        Ok(ready) => Some(ready),
        Err(Failure::TurnedAway) => None,
        Err(Failure::Broken(error)) => {
            state.handshakes.count(step);
            tracing::debug!(%peer, %error, "a connection ended before its first request");
            None
        }
    }
}

/// Read who the client is. It counts for `connections_per_address` from now on.
async fn name_client(shared: &Shared, mut socket: Socket, mut client: Client) -> Result<(Socket, Client), Failure> {
    match proxy_protocol::read(&mut socket).await? {
        // To see whether the host is there.
        ProxyHeader::FromProxyItself => return Ok((socket, client)),
        // The client is not known, so it cannot be told from others, and its header fields say nothing.
        ProxyHeader::Unknown => client.is_resolved = true,
        ProxyHeader::Client { address, is_secure } => {
            (client.address, client.is_secure) = (ClientAddress::Socket(address), is_secure);
        }
    }
    let routing = shared.state.routing();
    if client.is_resolved || !routing.proxies.trusts(&client.address) {
        let most = routing.limits.connections_per_address;
        let Some(place) = Addresses::enter(&shared.state.addresses, &client.address, most) else {
            // Its place among all connections is free again.
            drop(client);
            turn_away(shared, socket);
            return Err(Failure::TurnedAway);
        };
        client.slot = Slot::new((place, client.slot));
    }
    Ok((socket, client))
}

async fn encrypt(shared: &Shared, socket: Socket, mut client: Client) -> io::Result<(Socket, Client)> {
    let Some(acceptor) = &shared.preamble.tls else { return Ok((socket, client)) };
    client.is_secure = true;
    Ok((Socket::Tls(Box::new(tls::accept(acceptor, socket).await?)), client))
}
