//! The router, and the OpenAPI document that describes it: both are made from the same functions.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use http::header::ALLOW;
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiError, Code, ErrorBody};
use super::guard::guard;
use super::operations::Operations;
use super::response::raw_json;
use super::{Api, batch, connections, history, presence, publish, topics};

/// The forms of a message, of which a request has exactly one.
const FORMS: [&str; 3] = ["text", "json", "base64"];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hassock",
        description = "Publishes messages to WebSockets, sends to them and closes them. Each operation needs the scope \
                       that its security requirement names; a batch needs that of each of its commands.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ErrorBody)),
    modifiers(&Bearer),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("A token of `[api.tokens]`.".to_owned());
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The description of this API
#[utoipa::path(
    get, path = "/openapi.json", tag = "Description",
    responses((status = 200, body = Object, description = "This document"), super::error::Failures),
    security(())
)]
async fn openapi(State(api): State<Arc<Api>>) -> Response {
    raw_json(api.document.clone())
}

/// The routes, and the document about them.
pub(super) fn routes() -> (Router<Arc<Api>>, Value) {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(openapi))
        .routes(routes!(publish::publish))
        .routes(routes!(publish::broadcast))
        .routes(routes!(batch::batch))
        .routes(routes!(connections::send))
        .routes(routes!(connections::close))
        .routes(routes!(topics::topics))
        .routes(routes!(topics::subscribers))
        .routes(routes!(history::history))
        .routes(routes!(presence::presence))
        .split_for_parts();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    schemas.into_iter().flat_map(|schemas| schemas.values_mut()).for_each(complete);
    (router, document)
}

/// The whole service.
pub(super) fn service(api: Arc<Api>, routes: Router<Arc<Api>>) -> Router {
    let guarded = routes
        .fallback(no_path)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(Arc::clone(&api), guard))
        .with_state(api);
    Router::new().fallback_service(guarded).layer(map_response(keep_methods_secret))
}

/// The router names the methods of a path whatever the guard has answered. Who may not ask does not learn which paths exist.
async fn keep_methods_secret(mut response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().remove(ALLOW);
    }
    response
}

/// What the document says about its operations.
pub(super) fn operations(document: &Value) -> Operations {
    Operations::of(document)
}

async fn no_path(uri: Uri) -> ApiError {
    ApiError::new(Code::PathUnknown, format!("there is no `{}` here", uri.path()))
}

async fn other_method(method: Method) -> ApiError {
    ApiError::new(Code::MethodWrong, format!("this path does not take {method}; `Allow` names what it takes"))
}

/// Say what types of Rust do not say.
fn complete(schema: &mut Value) {
    allow_one_form(schema);
    let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    variants.into_iter().flatten().for_each(allow_one_key);
}

/// A variant of an enum is an object with one key.
fn allow_one_key(variant: &mut Value) {
    if let Value::Object(variant) = variant
        && variant.contains_key("properties")
    {
        variant.insert("additionalProperties".to_owned(), false.into());
    }
}

/// An object with all forms of a message has exactly one of them.
fn allow_one_form(schema: &mut Value) {
    let has_forms = FORMS.iter().all(|form| schema.pointer(&format!("/properties/{form}")).is_some());
    if let Value::Object(schema) = schema
        && has_forms
    {
        schema.insert("oneOf".to_owned(), FORMS.map(|form| json!({ "required": [form] })).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scope;

    #[test]
    fn the_document_is_complete() {
        let (_, document) = routes();
        assert_eq!(document["openapi"], "3.1.0");
        let operations = operations(&document);
        let scopes: Vec<_> = operations.all().filter_map(|operation| operation.scope).collect();
        for scope in Scope::ALL {
            assert!(scopes.contains(&scope), "{scope:?}");
        }
        let open: Vec<_> =
            operations.all().filter(|operation| !operation.needs_token).map(|operation| &*operation.id).collect();
        assert_eq!(open, ["openapi"]);
        assert!(operations.all().all(|operation| !operation.id.is_empty()));
        for name in ["Publish", "Broadcast", "Send", "SendCommand"] {
            assert!(document.pointer(&format!("/components/schemas/{name}/oneOf")).is_some(), "{name}");
        }
    }
}
