//! What comes before each operation: the token, what it allows, the app. And what comes after it: the counters and the log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::Api;
use super::body::discard;
use super::error::{ApiError, Code};
use super::operations::Operation;
use super::query::Query;
use crate::app::App;
use crate::config::Scope;
use crate::deploy::ApiToken;

/// The scheme of the header `Authorization`.
const BEARER: &[u8] = b"bearer ";

/// The name, in metrics, of a request that is none of the operations.
const NO_OPERATION: &str = "unknown";

/// Who asks, and about which app.
#[derive(Clone)]
pub(super) struct Caller {
    /// The app.
    pub(super) app: Arc<App>,
    token: Arc<ApiToken>,
}

impl Caller {
    /// Refuse what the token does not allow.
    ///
    /// # Errors
    /// If it does not allow it.
    pub(super) fn may(&self, scope: Scope) -> Result<(), ApiError> {
        may(&self.token, scope)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::internal("an operation has no app in its path"))
    }
}

/// Carry out a request if its token allows it.
pub(super) async fn guard(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let operation = api.operations.find(&request);
    let name = operation.map_or_else(|| NO_OPERATION.into(), |operation| Arc::clone(&operation.id));
    let mut token = None;
    let response = match admit(&api, operation, request, &mut token).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let (status, time) = (response.status().as_u16(), began.elapsed());
    api.state.api.request(&name, status, time);
    let token = token.as_ref().map(|token| token.name.as_str());
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(operation = %name, status, token, micros, "a request to the API");
    response
}

/// Admit a request, or refuse it and read away what its client still sends.
async fn admit(
    api: &Api,
    operation: Option<&Operation>,
    request: Request,
    token: &mut Option<Arc<ApiToken>>,
) -> Result<Request, ApiError> {
    let (mut head, body) = request.into_parts();
    match check(api, operation, &mut head, token).await {
        Ok(()) => Ok(Request::from_parts(head, body)),
        Err(error) => {
            discard(&head.headers, body);
            Err(error)
        }
    }
}

/// A client without a token does not learn which paths exist, and one with a token not which apps, beside its own.
async fn check(
    api: &Api,
    operation: Option<&Operation>,
    head: &mut Parts,
    presented: &mut Option<Arc<ApiToken>>,
) -> Result<(), ApiError> {
    if operation.is_none_or(|operation| operation.needs_token) {
        let token = token(api, &head.headers).ok_or_else(unauthorized)?;
        *presented = Some(Arc::clone(&token));
        if let Some(app) = app_of_path(head).await? {
            let app = enter(api, operation, &token, &app)?;
            head.extensions.insert(Caller { app, token });
        }
    }
    match operation {
        Some(operation) => Query::read(&head.uri)?.check(&operation.query),
        None => Ok(()),
    }
}

fn enter(api: &Api, operation: Option<&Operation>, token: &ApiToken, app: &str) -> Result<Arc<App>, ApiError> {
    if !token.is_for(app) {
        return Err(ApiError::new(
            Code::WrongApp,
            format!("the token is not for the app `{app}`; `apps` does not name it"),
        ));
    }
    if let Some(scope) = operation.and_then(|operation| operation.scope) {
        may(token, scope)?;
    }
    let unknown = || ApiError::new(Code::AppUnknown, format!("there is no app `{app}`"));
    api.control.running_app(app).ok_or_else(unknown)
}

fn may(token: &ApiToken, scope: Scope) -> Result<(), ApiError> {
    match token.allows(scope) {
        true => Ok(()),
        false => {
            let message = format!("the token does not have the scope `{}`", scope.name());
            Err(ApiError::new(Code::MissingScope, message))
        }
    }
}

/// The token that a request carries, if it is one.
fn token(api: &Api, headers: &HeaderMap) -> Option<Arc<ApiToken>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = header.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| api.control.api_tokens().find(token.trim_ascii())).flatten()
}

fn unauthorized() -> ApiError {
    ApiError::new(Code::Unauthorized, "give a token of `[api.tokens]` as `Authorization: Bearer TOKEN`")
}

/// The name of the app in the path of an operation.
async fn app_of_path(head: &mut Parts) -> Result<Option<String>, ApiError> {
    let malformed = |_| ApiError::new(Code::ParameterInvalid, "the path is not UTF-8");
    // A path of nothing has no parameters.
    if head.extensions.get::<axum::extract::MatchedPath>().is_none() {
        return Ok(None);
    }
    let parameters = RawPathParams::from_request_parts(head, &()).await.map_err(malformed)?;
    Ok(parameters.iter().find(|(name, _)| *name == "app").map(|(_, app)| app.to_owned()))
}
