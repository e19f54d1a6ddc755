//! The token of a client, verified before the module is asked.

use std::time::SystemTime;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};

use crate::app::Setup;
use crate::auth::{self, AuthError, Presented, Verified};
use crate::client_protocol::Offer;
use crate::config::TokenPlace;
use crate::module::bindings::hassock::host::types::Request;
use crate::request::subprotocols;

/// Verify the token of a request, if the app demands one. The request has its claims afterwards, and no token among its
/// subprotocols. None if the client has no token and needs none.
///
/// # Errors
/// Why it does not get in.
pub(super) async fn authenticate(
    setup: &Setup,
    request: &mut Request,
    offer: &mut Offer,
    clock: impl FnOnce() -> SystemTime,
) -> Result<Option<Verified>, AuthError> {
    let state = offer.state.as_mut().and_then(|state| state.token.take()).map(String::from);
    if offer.state.is_some() || setup.auth.is_some() {
        auth::strip(&mut request.headers);
    }
    let Some(authenticator) = &setup.auth else { return Ok(None) };
    let presented = Presented {
        query: request.query.as_deref(),
        headers: &request.headers,
        subprotocols: &mut offer.subprotocols,
        state,
    };
    let token = auth::find(authenticator.places(), presented);
    let verified = match token {
        Some(token) => Some(authenticator.verify(&token, clock).await?),
        None if authenticator.is_required() => return Err(AuthError::Missing),
        None => None,
    };
    request.claims = verified.as_ref().map(|verified| verified.claims.clone());
    Ok(verified)
}

/// Choose a subprotocol for a client that has offered a token as one, if nothing else was chosen.
pub(super) fn choose(setup: &Setup, request: &HeaderMap, answer: &mut HeaderMap) {
    let is_place = setup.auth.as_ref().is_some_and(|auth| auth.places().contains(&TokenPlace::Subprotocol));
    if is_place
        && !answer.contains_key(SEC_WEBSOCKET_PROTOCOL)
        && subprotocols::offered(request).iter().any(|offered| offered == auth::CHOICE)
    {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(auth::CHOICE));
    }
}
