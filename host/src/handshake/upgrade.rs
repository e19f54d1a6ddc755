//! One request: is it a WebSocket handshake, may it be one, and what does the module say?

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::answer::{self, Answer};
use super::{Pending, origin, page};
use crate::app::connection::{Close, Connection, Opened};
use crate::app::recording::PendingHandshake;
use crate::app::{App, Setup, call};
use crate::host_state::HostState;
use crate::module::bindings::hassock::host::types::{Acceptance, Request};
use crate::notices::{Refusal, Refuser};

/// Answer a request. If it becomes a WebSocket, that is left in `accepted`.
pub(super) async fn answer(
    request: http::Request<Incoming>,
    peer: SocketAddr,
    state: &Arc<HostState>,
    accepted: &Mutex<Option<Pending>>,
) -> Answer {
    let target = page::target_of_interest(&request, &state.routing());
    let answer = respond(request, peer, state, accepted).await;
    if let Some(target) = target
        && answer.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        tell_page(state, target, &answer).await;
    }
    answer
}

/// Let the test page say why its handshake was refused: a browser does not tell it.
async fn tell_page(state: &HostState, target: String, answer: &Answer) {
    let Ok(body) = answer.body().clone().collect().await;
    let by = answer.extensions().get().map_or(Refuser::Host, |answer::FromModule| Refuser::Module);
    let reason = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
    state.notices.refused(Refusal { target, by, status: answer.status(), reason });
}

async fn respond(
    request: http::Request<Incoming>,
    peer: SocketAddr,
    state: &Arc<HostState>,
    accepted: &Mutex<Option<Pending>>,
) -> Answer {
    let path = request.uri().path();
    let routing = state.routing();
    let switch = create_response_with_body(&request, Full::default);
    if switch.is_err()
        && let Some(answer) = page::respond(&request, &routing, &state.notices)
    {
        return answer;
    }
    let Some(app) = routing.routes.find(path) else { return answer::not_found(path) };
    let mut switch = match switch {
        Ok(switch) => switch,
        Err(error) => return answer::no_handshake(&error),
    };
    if state.draining.is_cancelled() {
        return answer::stopping();
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asking = app.recorder.ask(|| to_contract(&request, peer));
    if !origin::is_allowed(app.setup().config.origins.as_deref(), header(ORIGIN), header(HOST)) {
        let origin = header(ORIGIN).unwrap_or_default();
        let line = origin::line_that_allows(app.setup().config.origins.as_deref(), origin);
        tracing::warn!(app = %app.name, %peer, origin, "refused: pages of this origin may not connect; to allow them: {line}");
        let answer = answer::wrong_origin(origin);
        note_refusal(asking, &answer).await;
        return answer;
    }
    let id = state.next_id.fetch_add(1, Ordering::Relaxed);
    // A task of its own: if the client goes away, hyper drops this future, but a call of a module is
    // never cut off for that, and an accepted connection gets its `closed`.
    let opening = state.context.tasks.spawn(open_recorded(Arc::clone(app), id, to_contract(&request, peer), asking));
    match opening.await {
        Ok(Ok((opened, headers))) => {
            switch.headers_mut().extend(headers);
            *accepted.lock() = Some(Pending { opened, upgrade: hyper::upgrade::on(request) });
            switch
        }
        Ok(Err(answer)) => answer,
        Err(_) => answer::host_failed(),
    }
}

/// Ask the module, and tell whoever records what it said.
async fn open_recorded(
    app: Arc<App>,
    id: u64,
    request: Request,
    asking: Option<PendingHandshake>,
) -> Result<(Opened, HeaderMap), Answer> {
    let outcome = open(app, id, request).await;
    match (&outcome, asking) {
        (Ok((opened, headers)), Some(asking)) => asking.accepted(&opened.connection, headers),
        (Err(answer), asking) => note_refusal(asking, answer).await,
        (Ok(_), None) => {}
    }
    outcome
}

async fn note_refusal(asking: Option<PendingHandshake>, answer: &Answer) {
    if let Some(asking) = asking {
        let Ok(body) = answer.body().clone().collect().await;
        asking.refused(answer.status(), body.to_bytes());
    }
}

/// Ask the module. What it sends to the connection meanwhile waits in the outbox.
async fn open(app: Arc<App>, id: u64, request: Request) -> Result<(Opened, HeaderMap), Answer> {
    let setup = app.setup();
    let connection = Arc::new(Connection::new(id, setup.limits.outbox_bytes.bytes()));
    app.connections.insert(&connection);
    // Asked only now: an app that goes later closes this connection too.
    if app.is_gone() {
        app.forget(&connection);
        return Err(answer::not_found(&request.path));
    }
    let refusal = match call::open(&app, &connection, &request).await {
        Ok(Ok(acceptance)) => return accept(app, &setup, connection, &request, acceptance).await,
        Ok(Err(refusal)) => answer::refused(refusal).unwrap_or_else(|reason| misbehaved(&app, &connection, &reason)),
        Err(error) => answer::call_failed(&error),
    };
    app.forget(&connection);
    Err(refusal)
}

async fn accept(
    app: Arc<App>,
    setup: &Setup,
    connection: Arc<Connection>,
    request: &Request,
    acceptance: Acceptance,
) -> Result<(Opened, HeaderMap), Answer> {
    let opened = Opened::new(Arc::clone(&app), Arc::clone(&setup.limits), Arc::clone(&connection));
    match apply(&app, setup, &connection, request, acceptance) {
        Ok(headers) => Ok((opened, headers)),
        Err(reason) => {
            let answer = misbehaved(&app, &connection, &reason);
            // The module believes that it has a connection.
            opened.finish(Close::failed(setup.error_close_code(), &version_of(&connection))).await;
            Err(answer)
        }
    }
}

/// Put the module's acceptance into effect; returns the header fields for the 101.
fn apply(
    app: &App,
    setup: &Setup,
    connection: &Arc<Connection>,
    request: &Request,
    acceptance: Acceptance,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &acceptance.headers {
        let (name, value) = answer::header(name, value)?;
        headers.append(name, value);
    }
    if let Some(subprotocol) = acceptance.subprotocol {
        if !request.subprotocols.contains(&subprotocol) {
            return Err(format!("the client did not offer the subprotocol `{subprotocol}`"));
        }
        let value = HeaderValue::from_str(&subprotocol).map_err(|_| "the subprotocol is malformed".to_owned())?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    if acceptance.attachment.len() > setup.limits.attachment_bytes.bytes() {
        return Err(format!("the attachment is larger than `attachment_bytes` = {}", setup.limits.attachment_bytes));
    }
    if !acceptance.attachment.is_empty() {
        *connection.attachment.lock() = Bytes::from(acceptance.attachment);
    }
    for topic in &acceptance.topics {
        let subscribed = app.topics.subscribe(connection, topic, setup.limits.topics_per_connection);
        subscribed.map_err(|error| format!("cannot subscribe to `{topic}`: {error}"))?;
    }
    Ok(headers)
}

fn misbehaved(app: &App, connection: &Connection, reason: &str) -> Answer {
    let (version, connection) = (version_of(connection), connection.id);
    tracing::error!(app = %app.name, version, connection, call = "open", "the module's answer can not be: {reason}");
    answer::broken(&version)
}

/// The version that has just opened a connection.
fn version_of(connection: &Connection) -> String {
    connection.binding.version().map(|version| version.id.to_string()).unwrap_or_default()
}

fn to_contract(request: &http::Request<Incoming>, peer: SocketAddr) -> Request {
    let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    let field = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), text(value)?));
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(text);
    Request {
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().filter_map(field).collect(),
        remote_address: peer.to_string(),
        subprotocols: offers
            .flat_map(|list| list.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>())
            .collect(),
        secure: false,
    }
}
