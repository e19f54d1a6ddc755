//! `/live` and `/ready`, for load balancers (`public_health`).

use http::header::UPGRADE;
use http::{Method, Request};

use super::answer::{self, Answer};
use crate::host_state::{HostState, RoutingTable};

/// Respond to a request that asks how the host is. It may be sent to any name: a load balancer uses the address.
pub(super) fn respond<B>(request: &Request<B>, routing: &RoutingTable, state: &HostState) -> Option<Answer> {
    let path = request.uri().path();
    let is_read = [Method::GET, Method::HEAD].contains(request.method()) && !request.headers().contains_key(UPGRADE);
    if !routing.public_health || !is_read || routing.routes.has_exactly(path) {
        return None;
    }
    match path {
        "/live" => Some(answer::fine()),
        "/ready" if state.stopping.is_cancelled() => Some(answer::stopping()),
        "/ready" => Some(answer::fine()),
        _ => None,
    }
}
