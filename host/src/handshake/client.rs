//! Who asks for a WebSocket, and what the request says.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use hyper::body::Incoming;

use super::Client;
use crate::addresses::Addresses;
use crate::app::connection::Slot;
use crate::host_state::{HostState, RoutingTable};
use crate::module::bindings::hassock::host::types::Request;
use crate::request::subprotocols;

/// The client behind a trusted proxy, as the request says. It counts for `connections_per_address` from now on, and so does the
/// proxy if it does not name a client. None if the address has too many connections.
pub(super) fn resolve(
    client: Client,
    request: &http::Request<Incoming>,
    routing: &RoutingTable,
    state: &HostState,
) -> Option<Client> {
    if client.is_resolved || !routing.proxies.trusts(&client.address) {
        return Some(client);
    }
    let forwarded = routing.proxies.client_of(client.address, request.headers());
    let (address, is_secure) = (forwarded.address, forwarded.is_secure.unwrap_or(client.is_secure));
    let place = Addresses::enter(&state.addresses, &address, routing.limits.connections_per_address)?;
    Some(Client { address, slot: Slot::new((place, client.slot)), is_secure, is_resolved: true })
}

pub(super) fn header<'a>(request: &'a http::Request<Incoming>, name: &HeaderName) -> Option<Cow<'a, str>> {
    request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

pub(super) fn to_contract(request: &http::Request<Incoming>, client: &Client) -> Request {
    let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    let field = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), text(value)?));
    Request {
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().filter_map(field).collect(),
        remote_address: client.address.to_string(),
        subprotocols: subprotocols::offered(request.headers()),
        secure: client.is_secure,
        claims: None,
    }
}
