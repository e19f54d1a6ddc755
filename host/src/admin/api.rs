//! From a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, EXPECT};
use http::request::Parts;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{Answer, Failure, PLAIN, failed, json, recording, text};
use super::metrics;
use super::route::{Parameters, Route};
use super::token::Token;
use crate::app::recording::RecordOptions;
use crate::config::AdminConfig;
use crate::deploy::{Control, Pin, Rollout};

/// The scheme of the header `Authorization`.
const BEARER: &[u8] = b"bearer ";

/// How long somebody may pause whose request is refused and who has not sent all of it.
const PAUSE: Duration = Duration::from_secs(1);

/// What all requests share.
pub(super) struct Api {
    control: Control,
    token: Token,
    config: AdminConfig,
    /// One module at a time: so `module_bytes` bounds the memory, and a compilation has the cores to itself.
    upload: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(control: Control, token: Token, config: AdminConfig) -> Self {
        Self { control, token, config, upload: Arc::new(Semaphore::new(1)) }
    }

    /// Answer a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, mut body) = request.into_parts();
        match self.try_answer(&head, &mut body).await {
            Ok(answer) => answer,
            Err(failure) => {
                tracing::debug!(%failure, "refused a request to the admin listener");
                // Who waits to be asked for the body does not send it.
                if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
                    tokio::spawn(discard(body));
                }
                failed(&failure)
            }
        }
    }

    async fn try_answer(&self, head: &Parts, body: &mut Incoming) -> Result<Answer, Failure> {
        let route = Route::of(head.uri.path());
        // Who has no token does not learn which paths there are.
        if route != Some(Route::Health) && !self.is_authorized(&head.headers) {
            return Err(Failure::Unauthorized);
        }
        let route = route.ok_or_else(|| Failure::NoRoute(head.uri.path().to_owned()))?;
        if head.method != route.method() {
            return Err(Failure::Method(route.method()));
        }
        let parameters = Parameters::of(&head.uri)?;
        match route {
            Route::Deploy(app) => self.deploy(app, parameters.rollout()?, body).await,
            Route::Pin(app) => self.pin(&app, parameters.pin()?),
            Route::Record(app) => self.record(app, parameters.connections()?),
            route => {
                parameters.none()?;
                self.without_parameters(route).await
            }
        }
    }

    async fn without_parameters(&self, route: Route) -> Result<Answer, Failure> {
        match route {
            Route::Metrics => {
                let metrics = metrics::text(self.control.report()).map_err(|_| Failure::Internal)?;
                Ok(text(metrics::CONTENT_TYPE, metrics))
            }
            Route::Apps => Ok(json(&self.control.report())),
            Route::Promote(app) => Ok(json(&self.control.promote(&app)?)),
            Route::Rollback(app) => Ok(json(&self.control.rollback(&app)?)),
            Route::Reload => self.reload().await,
            Route::Health | Route::Deploy(_) | Route::Pin(_) | Route::Record(_) => Ok(text(PLAIN, "ok\n")),
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

    /// What has begun is done and logged even if the client goes away meanwhile.
    async fn deploy(&self, app: String, rollout: Rollout, body: &mut Incoming) -> Result<Answer, Failure> {
        let turn = Arc::clone(&self.upload).acquire_owned().await.map_err(|_| Failure::Internal)?;
        let module = self.receive(body).await?;
        let control = self.control.clone();
        let work = tokio::spawn(async move {
            let outcome = control.deploy(&app, module, rollout).await;
            drop(turn);
            outcome
        });
        Ok(json(&work.await.map_err(|_| Failure::Internal)??))
    }

    async fn reload(&self) -> Result<Answer, Failure> {
        let control = self.control.clone();
        let work = tokio::spawn(async move { control.reload().await });
        Ok(json(&work.await.map_err(|_| Failure::Internal)??))
    }

    fn pin(&self, app: &str, pin: Pin) -> Result<Answer, Failure> {
        Ok(json(&self.control.pin(app, pin)?))
    }

    fn record(&self, app: String, connections: usize) -> Result<Answer, Failure> {
        let order = RecordOptions { connections, bytes: self.config.record_bytes.bytes() };
        let reader = self.control.record(&app, order)?;
        Ok(recording(reader.ok_or(Failure::Recording(app))?))
    }

    /// The whole body.
    async fn receive(&self, body: &mut Incoming) -> Result<Vec<u8>, Failure> {
        let (most, limit) = (self.config.module_bytes, self.config.upload_timeout);
        // What says that it is too large need not be read.
        if body.size_hint().lower() > most.bytes() as u64 {
            return Err(Failure::TooLarge(most));
        }
        let module = match timeout(limit.get(), collect(body, most.bytes())).await {
            Ok(collected) => collected?.ok_or(Failure::TooLarge(most))?,
            Err(_) => return Err(Failure::TooSlow(limit)),
        };
        match module.is_empty() {
            true => Err(Failure::Parameter("the body is empty; send the component, whole and as it is".to_owned())),
            false => Ok(module),
        }
    }
}

/// The body, if it has at most so many bytes.
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

/// Take what is still being sent: a client whose bytes are refused may never read why. The connection ends
/// `request_timeout` after the answer at the latest, and this with it.
async fn discard(mut body: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(PAUSE, body.frame()).await {}
}
