//! From a request to its response.
//!
//! | request | effect |
//! |---|---|
//! | `GET /live` | responds `ok`; needs no token |
//! | `GET /ready` | responds `ok`, or 503 when the host is about to stop; needs no token |
//! | `GET /health` | the same as `/live` |
//! | `GET /metrics` | metrics in the OpenMetrics format |
//! | `GET /v1/apps` | all apps and their versions |
//! | `POST /v1/apps/APP/versions` | deploys the component in the body; `?canary=10%25` limits it to a share |
//! | `POST /v1/apps/APP/promote` | gives all connections to the canary |
//! | `POST /v1/apps/APP/rollback` | takes the canary back, or returns to the previous version |
//! | `POST /v1/apps/APP/pin` | keeps open connections on their version: `?for=10m`; `?off` ends that |
//! | `POST /v1/apps/APP/record` | records the next connections, line by line; `?connections=2`, by default 1 |
//! | `POST /v1/apps/APP/publish` | publishes the body: `?topic=news`; `&binary`, `&id=…` |
//! | `GET /v1/apps/APP/tail` | shows what is published, line by line: `?topic=news` |
//! | `POST /v1/reload` | reads the config again |
//!
//! The errors are in `error.rs`, the parameters in `query.rs`.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, EXPECT};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::ApiError;
use super::metrics::{self, Snapshot};
use super::publish::publish;
use super::query::{DeployQuery, NoParameters, PinQuery, PublishQuery, RecordQuery, TailQuery, read};
use super::response::{PLAIN, Response, json, recording, tail, text};
use super::tail::TailReader;
use crate::app::recording::RecordOptions;
use crate::config::{AdminConfig, Size};
use crate::deploy::{Control, Pin, Rollout};
use crate::token::Token;

/// The scheme of the header `Authorization`.
const BEARER: &[u8] = b"bearer ";

/// How long a client may pause while it sends the body of a request that was refused.
const PAUSE: Duration = Duration::from_secs(1);

/// What all requests share.
pub(super) struct Api {
    control: Control,
    token: Token,
    config: AdminConfig,
    /// One module at a time: `module_bytes` then bounds the memory, and a compilation has the cores to itself.
    upload: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(control: Control, token: Token, config: AdminConfig) -> Self {
        Self { control, token, config, upload: Arc::new(Semaphore::new(1)) }
    }

    /// Respond to any request.
    pub(super) async fn respond(&self, request: Request<Incoming>) -> Response {
        let (head, mut body) = request.into_parts();
        match self.route(&head, &mut body).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(%error, "refused a request to the admin listener");
                // A client that waits for `100 Continue` does not send the body.
                if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
                    tokio::spawn(discard(body));
                }
                error.into_response()
            }
        }
    }

    async fn route(&self, head: &Parts, body: &mut Incoming) -> Result<Response, ApiError> {
        let path = head.uri.path();
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or_default().split('/').collect();
        // A client without a token does not learn which paths exist.
        let is_health = matches!(segments.as_slice(), ["live" | "ready" | "health"]);
        if !is_health && !self.is_authorized(&head.headers) {
            return Err(ApiError::Unauthorized);
        }
        let no_route = || ApiError::NoRoute(path.to_owned());
        // Decoded after the path was split: the name of an app may contain any character, also a slash.
        let name = |app: &str| match percent_decode_str(app).decode_utf8() {
            Ok(app) => Ok(app.into_owned()),
            Err(_) => Err(no_route()),
        };
        let parameters = &head.uri;
        // Whatever changes something is a POST.
        match (&head.method, segments.as_slice()) {
            (&Method::GET, ["live" | "health"]) => read(parameters).map(|NoParameters {}| text(PLAIN, "ok\n")),
            (&Method::GET, ["ready"]) => read(parameters).and_then(|NoParameters {}| self.readiness()),
            (&Method::GET, ["metrics"]) => read(parameters).and_then(|NoParameters {}| self.metrics()),
            (&Method::GET, ["v1", "apps"]) => read(parameters).map(|NoParameters {}| json(&self.control.report())),
            (&Method::POST, ["v1", "reload"]) => {
                let NoParameters {} = read(parameters)?;
                self.reload().await
            }
            (&Method::POST, ["v1", "apps", app, "versions"]) => {
                self.deploy(name(app)?, read(parameters).map(DeployQuery::rollout)?, body).await
            }
            (&Method::POST, ["v1", "apps", app, "promote"]) => {
                let (app, NoParameters {}) = (name(app)?, read(parameters)?);
                Ok(json(&self.control.promote(&app)?))
            }
            (&Method::POST, ["v1", "apps", app, "rollback"]) => {
                let (app, NoParameters {}) = (name(app)?, read(parameters)?);
                Ok(json(&self.control.rollback(&app)?))
            }
            (&Method::POST, ["v1", "apps", app, "pin"]) => {
                self.pin(&name(app)?, read(parameters).and_then(PinQuery::pin)?)
            }
            (&Method::POST, ["v1", "apps", app, "record"]) => self.record(name(app)?, &read(parameters)?),
            (&Method::POST, ["v1", "apps", app, "publish"]) => self.publish(&name(app)?, read(parameters)?, body).await,
            (&Method::GET, ["v1", "apps", app, "tail"]) => self.tail(&name(app)?, &read(parameters)?),
            (_, ["live" | "ready" | "health" | "metrics"] | ["v1", "apps"] | ["v1", "apps", _, "tail"]) => {
                Err(ApiError::Method(Method::GET))
            }
            (
                _,
                ["v1", "reload"]
                | ["v1", "apps", _, "versions" | "promote" | "rollback" | "pin" | "record" | "publish"],
            ) => Err(ApiError::Method(Method::POST)),
            _ => Err(no_route()),
        }
    }

    fn readiness(&self) -> Result<Response, ApiError> {
        match self.control.is_ready() {
            true => Ok(text(PLAIN, "ok\n")),
            false => Err(ApiError::Stopping),
        }
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (all.next(), all.next()) else { return false };
        match header.as_bytes().split_at_checked(BEARER.len()) {
            Some((scheme, token)) => scheme.eq_ignore_ascii_case(BEARER) && self.token.matches(token.trim_ascii()),
            None => false,
        }
    }

    fn metrics(&self) -> Result<Response, ApiError> {
        let snapshot = Snapshot {
            versions: self.control.report(),
            apps: self.control.app_figures(),
            databases: self.control.database_reports(),
            host: self.control.host_figures(),
            api: self.control.api_figures(),
        };
        let metrics = metrics::text(snapshot).map_err(|_| ApiError::Internal)?;
        Ok(text(metrics::CONTENT_TYPE, metrics))
    }

    /// A deploy that has begun is finished and logged even if its client goes away.
    async fn deploy(&self, app: String, rollout: Rollout, body: &mut Incoming) -> Result<Response, ApiError> {
        let permit = Arc::clone(&self.upload).acquire_owned().await.map_err(|_| ApiError::Internal)?;
        let module = self.receive(body, self.config.module_bytes, ApiError::TooLarge).await?;
        if module.is_empty() {
            return Err(ApiError::Parameter("the body is empty; send the whole component, unchanged".to_owned()));
        }
        let control = self.control.clone();
        let work = tokio::spawn(async move {
            let outcome = control.deploy(&app, module, rollout).await;
            drop(permit);
            outcome
        });
        Ok(json(&work.await.map_err(|_| ApiError::Internal)??))
    }

    async fn reload(&self) -> Result<Response, ApiError> {
        let control = self.control.clone();
        let work = tokio::spawn(async move { control.reload().await });
        Ok(json(&work.await.map_err(|_| ApiError::Internal)??))
    }

    fn pin(&self, app: &str, pin: Pin) -> Result<Response, ApiError> {
        Ok(json(&self.control.pin(app, pin)?))
    }

    fn record(&self, app: String, query: &RecordQuery) -> Result<Response, ApiError> {
        let options = RecordOptions { connections: query.connections, bytes: self.config.record_bytes.bytes() };
        let reader = self.control.record(&app, options)?;
        Ok(recording(reader.ok_or(ApiError::Recording(app))?))
    }

    async fn publish(&self, app: &str, query: PublishQuery, body: &mut Incoming) -> Result<Response, ApiError> {
        let app = self.control.app(app)?;
        let most = app.setup().limits.outbox_bytes;
        let message = self.receive(body, most, ApiError::MessageTooLarge).await?;
        Ok(json(&publish(&app, query, &message).await?))
    }

    fn tail(&self, app: &str, query: &TailQuery) -> Result<Response, ApiError> {
        let (app, draining) = (self.control.app(app)?, self.control.draining());
        Ok(tail(TailReader::start(app, &query.topic, self.config.tail_bytes, draining)))
    }

    /// The whole body, which may have so many bytes.
    async fn receive(
        &self,
        body: &mut Incoming,
        most: Size,
        too_large: impl Fn(Size) -> ApiError,
    ) -> Result<Vec<u8>, ApiError> {
        let limit = self.config.upload_timeout;
        // A body that announces too many bytes is refused before it is read.
        if body.size_hint().lower() > most.bytes() as u64 {
            return Err(too_large(most));
        }
        match timeout(limit.get(), collect(body, most.bytes())).await {
            Ok(collected) => collected?.ok_or_else(|| too_large(most)),
            Err(_) => Err(ApiError::TooSlow(limit)),
        }
    }
}

/// The body, or none if it is longer than `most` bytes.
async fn collect(body: &mut Incoming, most: usize) -> Result<Option<Vec<u8>>, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

/// Read what the client is still sending: if its bytes are refused, it may never read the response. The connection, and
/// this with it, ends `request_timeout` after the response at the latest.
async fn discard(mut body: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(PAUSE, body.frame()).await {}
}
