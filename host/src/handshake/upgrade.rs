//! Handles one request: checks whether it is a WebSocket handshake and may be one, and asks the module.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::answer::{self, Answer};
use super::authentication::{authenticate, choose};
use super::client::{header, resolve, to_contract};
use super::decision::{Entered, decide, turn_down};
use super::resume::{Admitted, Return};
use super::{Client, Pending, compression, health, library, page, public, resume};
use crate::app::connection::{Connection, Opened, Slot};
use crate::app::recording::PendingHandshake;
use crate::app::{App, Setup, call};
use crate::client_protocol;
use crate::handshake_counts::HandshakeOutcome;
use crate::host_state::{HostState, RoutingTable};
use crate::module::bindings::hassock::host::types::Request;
use crate::notices::{self, Refuser};
use crate::request::{hosts, origin};
use crate::traces::{Asker, HandshakeTrace};

/// One app may owe its module the ends of a quarter of all connections. Each counts as a connection until its `closed` has
/// returned, so a module that is slow there would otherwise leave no connections to other apps.
const MOST_ENDING: usize = 4;

/// Bytes of an origin in the log and in the answer. A name has at most 253.
const LOGGED_ORIGIN: usize = 300;

/// Respond to a request. If it becomes a WebSocket, the connection is stored in `accepted`.
pub(super) async fn answer(
    mut request: http::Request<Incoming>,
    client: Client,
    state: &Arc<HostState>,
    accepted: &Mutex<Option<Pending>>,
) -> Answer {
    let target = page::target_of_interest(&request, &state.routing());
    let trace = begin_trace(&mut request, &client, state);
    let mut answer = respond(request, client, state, accepted).await;
    // What an app has not counted reached none.
    answer::count(&mut answer, &state.handshakes);
    if let Some(trace) = trace {
        trace.answered(answer.status());
    }
    if let Some(target) = target
        && answer.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        tell_page(state, target, &answer).await;
    }
    answer
}

/// Begin the trace of a handshake, if it is one and is traced. The request carries it.
fn begin_trace(request: &mut http::Request<Incoming>, client: &Client, state: &HostState) -> Option<HandshakeTrace> {
    let traces = state.context.traces()?;
    if !request.headers().contains_key(SEC_WEBSOCKET_KEY) {
        return None;
    }
    let asker = match !client.is_resolved && state.routing().proxies.trusts(&client.address) {
        true => Asker::TrustedProxy,
        false => Asker::Client,
    };
    let trace = traces.handshake(request.uri().path(), request.headers(), asker)?;
    request.extensions_mut().insert(trace.clone());
    Some(trace)
}

/// Let the test page show why its handshake was refused, because a browser does not tell it.
async fn tell_page(state: &HostState, target: String, answer: &Answer) {
    let Ok(body) = answer.body().clone().collect().await;
    let by = answer.extensions().get().map_or(Refuser::Host, |answer::FromModule| Refuser::Module);
    let reason = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
    state.notices.refused(notices::Refusal { target, by, status: answer.status(), reason });
}

async fn respond(
    request: http::Request<Incoming>,
    client: Client,
    state: &Arc<HostState>,
    accepted: &Mutex<Option<Pending>>,
) -> Answer {
    let path = request.uri().path();
    let routing = state.routing();
    let Some(client) = resolve(client, &request, &routing, state) else { return answer::too_many_connections() };
    if let Some(answer) = health::respond(&request, &routing, state) {
        return answer;
    }
    let host = header(&request, &HOST);
    if !hosts::is_served(&routing.hosts, host.as_deref()) {
        return answer::other_host(host.as_deref().unwrap_or_default());
    }
    let switch = create_response_with_body(&request, Full::default);
    if switch.is_err()
        && let Some(answer) = plain(&request, &routing, state).await
    {
        return answer;
    }
    let Some(app) = routing.routes.find(path) else { return answer::not_found(path) };
    let mut answer = match switch {
        Ok(switch) => hand_over(request, client, state, &routing, app, switch, accepted).await,
        Err(error) => answer::no_handshake(&error),
    };
    answer::count(&mut answer, &app.handshakes);
    answer
}

/// Respond to a request that is not a WebSocket handshake, if there is something for it beside the apps.
async fn plain(request: &http::Request<Incoming>, routing: &RoutingTable, state: &HostState) -> Option<Answer> {
    if let Some(answer) = library::respond(request, routing) {
        return Some(answer);
    }
    // An app's own page is at `/` instead of the test page.
    if let Some(answer) = public::respond(request, routing.public.as_deref()).await {
        return Some(answer);
    }
    page::respond(request, routing, &state.notices)
}

/// Let the app answer a handshake, if the client may ask it.
async fn hand_over(
    request: http::Request<Incoming>,
    client: Client,
    state: &Arc<HostState>,
    routing: &RoutingTable,
    app: &Arc<App>,
    mut switch: Answer,
    accepted: &Mutex<Option<Pending>>,
) -> Answer {
    let (host, origin) = (header(&request, &HOST), header(&request, &ORIGIN));
    let peer = client.address;
    if state.draining.is_cancelled() {
        return answer::stopping();
    }
    let asking = app.recorder.ask(|| to_contract(&request, &client));
    let setup = app.setup();
    let allowed = setup.config.origins.as_deref();
    let is_allowed = origin::is_allowed(allowed, origin.as_deref(), host.as_deref())
        || origin::is_among(routing.more_origins, origin.as_deref());
    if !is_allowed {
        let origin = origin.unwrap_or_default();
        // A client chooses its length.
        let origin = origin.get(..origin.floor_char_boundary(LOGGED_ORIGIN)).unwrap_or_default();
        let line = origin::line_that_allows(allowed, origin);
        let name = &app.name;
        tracing::warn!(app = %name, %peer, origin, "refused: pages of this origin may not connect; to allow them, write under [apps.{name}]: {line}");
        let answer = answer::wrong_origin(origin);
        note_refusal(asking, &answer).await;
        return answer;
    }
    if app.ending() > routing.limits.max_connections / MOST_ENDING {
        let answer = answer::behind();
        note_refusal(asking, &answer).await;
        return answer;
    }
    let id = state.next_id.fetch_add(1, Ordering::Relaxed);
    let mut contract = to_contract(&request, &client);
    let trace = request.extensions().get::<HandshakeTrace>();
    if let Some(trace) = trace {
        trace.continue_in(&mut contract.headers);
    }
    let mut offer = match client_protocol::offered(std::mem::take(&mut contract.subprotocols)) {
        Ok(offer) => offer,
        Err(reason) => {
            let answer = answer::unreadable_state(&reason);
            note_refusal(asking, &answer).await;
            return answer;
        }
    };
    let verified = match authenticate(&setup, &mut contract, &mut offer, || state.context.now()).await {
        Ok(verified) => verified,
        Err(error) => {
            tracing::info!(app = %app.name, %peer, "refused: {error}");
            let answer = answer::unauthorized(error);
            note_refusal(asking, &answer).await;
            return answer;
        }
    };
    contract.subprotocols = offer.subprotocols;
    let agreed = compression::agree(&setup.config.compression, request.headers());
    let deflate = agreed.as_ref().map(|agreed| agreed.deflate);
    if let Some((connection, secret)) = resume::find(app, offer.state.as_ref(), deflate, verified.as_ref()) {
        switch.headers_mut().extend(Return::headers());
        switch.headers_mut().extend(agreed.map(|agreed| (SEC_WEBSOCKET_EXTENSIONS, agreed.field)));
        switch.extensions_mut().insert(HandshakeOutcome::Resumed);
        let received = offer.state.map_or(0, |state| state.received);
        let admitted = Admitted::Again(Return::new(connection, contract, received, secret, verified, client.slot));
        *accepted.lock() = Some(Pending { admitted, upgrade: hyper::upgrade::on(request) });
        return switch;
    }
    let outcome = match enter(app, &setup, id, client.slot, |connection| {
        connection.deflating(deflate).entitled(verified.as_ref()).speaking(offer.state)
    }) {
        Some(entered) => {
            if let Some(trace) = trace {
                entered.connection.trace();
                trace.of_connection(&app.name, id);
            }
            ask(state, app, &setup, entered, contract, asking).await
        }
        None => {
            let answer = answer::not_found(request.uri().path());
            note_refusal(asking, &answer).await;
            Err(answer)
        }
    };
    match outcome {
        Ok((opened, headers)) => {
            switch.headers_mut().extend(headers);
            choose(&setup, request.headers(), switch.headers_mut());
            switch.headers_mut().extend(agreed.map(|agreed| (SEC_WEBSOCKET_EXTENSIONS, agreed.field)));
            switch.extensions_mut().insert(HandshakeOutcome::Accepted);
            *accepted.lock() = Some(Pending { admitted: Admitted::New(opened), upgrade: hyper::upgrade::on(request) });
            switch
        }
        Err(answer) => answer,
    }
}

/// Ask the module: at once if its version cannot wait, and otherwise in a task. If the client disconnects, hyper drops
/// this future, but the call of the module must not be interrupted, and an accepted connection must get its `closed`.
async fn ask(
    state: &HostState,
    app: &Arc<App>,
    setup: &Arc<Setup>,
    entered: Entered,
    request: Request,
    asking: Option<PendingHandshake>,
) -> Result<(Opened, HeaderMap), Answer> {
    let answered = if asking.is_none() { call::open_directly(app, &entered.connection, &request) } else { None };
    let tasks = &state.context.tasks;
    let Some(answered) = answered else {
        let opening = open_recorded(Arc::clone(app), Arc::clone(setup), entered, request, asking);
        return match tasks.spawn(opening).await {
            Ok(outcome) => outcome,
            Err(_) => Err(answer::host_failed()),
        };
    };
    match decide(app, setup, entered, &request, answered) {
        Ok(accepted) => Ok(accepted),
        Err(rejected) => match tasks.spawn(turn_down(rejected, setup.error_close_code())).await {
            Ok(answer) => Err(answer),
            Err(_) => Err(answer::host_failed()),
        },
    }
}

/// Ask the module, and record its response.
async fn open_recorded(
    app: Arc<App>,
    setup: Arc<Setup>,
    entered: Entered,
    request: Request,
    asking: Option<PendingHandshake>,
) -> Result<(Opened, HeaderMap), Answer> {
    let outcome = open(&app, &setup, entered, request).await;
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

/// Messages that the module sends to the connection from now on wait in the outbox. None if the app is not in the config
/// any more.
fn enter(
    app: &Arc<App>,
    setup: &Setup,
    id: u64,
    slot: Slot,
    agreed: impl FnOnce(Connection) -> Connection,
) -> Option<Entered> {
    let connection = Connection::in_slot(id, setup.limits.outbox_bytes.bytes(), &app.context.memory, slot);
    let connection = agreed(connection);
    let connection = match setup.limits.resume_for.get().is_zero() {
        true => connection,
        false => connection.resumable(setup.limits.outbox_bytes.bytes(), &app.context.memory),
    };
    let entered = Entered::new(app, connection);
    // Check this only now: if the app is removed later, it closes this connection too.
    (!app.is_gone()).then_some(entered)
}

async fn open(
    app: &Arc<App>,
    setup: &Setup,
    entered: Entered,
    request: Request,
) -> Result<(Opened, HeaderMap), Answer> {
    let answered = call::open(app, &entered.connection, &request).await;
    match decide(app, setup, entered, &request, answered) {
        Ok(accepted) => Ok(accepted),
        Err(rejected) => Err(turn_down(rejected, setup.error_close_code()).await),
    }
}
