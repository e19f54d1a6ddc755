//! What the OpenAPI document says about each operation: the guard enforces that.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use http::Method;
use serde_json::Value;

use crate::config::Scope;

/// The operations of the document.
#[derive(Debug)]
pub(super) struct Operations(BTreeMap<(String, Method), Operation>);

/// An operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its name.
    pub(super) id: Arc<str>,
    /// Whether it needs a token.
    pub(super) needs_token: bool,
    /// What the token has to allow, if it is about an app and always the same.
    pub(super) scope: Option<Scope>,
    /// The parameters of its query.
    pub(super) query: Vec<String>,
}

impl Operations {
    /// Those of a document.
    pub(super) fn of(document: &Value) -> Self {
        let mut all = BTreeMap::new();
        for (path, methods) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
                all.insert((path.clone(), method), Operation::of(operation));
            }
        }
        Self(all)
    }

    /// That of a request.
    pub(super) fn find(&self, request: &Request) -> Option<&Operation> {
        let path = request.extensions().get::<MatchedPath>()?;
        // The router answers HEAD with what GET would.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        self.0.get(&(path.as_str().to_owned(), method))
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Operation> {
        self.0.values()
    }
}

impl Operation {
    fn of(operation: &Value) -> Self {
        let security = operation.get("security").and_then(Value::as_array).and_then(|all| all.first());
        let scopes = security.and_then(|security| security.get("token")).and_then(Value::as_array);
        let word = scopes.and_then(|scopes| scopes.first()).and_then(Value::as_str);
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let in_query = parameters.filter(|parameter| parameter.get("in").and_then(Value::as_str) == Some("query"));
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            id: text(operation, "operationId").into(),
            // One that says nothing about it needs a token.
            needs_token: scopes.is_some() || security.is_none(),
            scope: Scope::ALL.into_iter().find(|scope| Some(scope.name()) == word),
            query: in_query.map(|parameter| text(parameter, "name")).collect(),
        }
    }
}
