//! The parameters of a query. The guard has refused those that the OpenAPI document does not name.

use std::collections::BTreeMap;

use http::Uri;

use super::error::{ApiError, Code};

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Read them.
    ///
    /// # Errors
    /// If one is given twice.
    pub(super) fn read(uri: &Uri) -> Result<Self, ApiError> {
        let mut all = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let name = name.into_owned();
            if all.contains_key(&name) {
                return Err(invalid(format!("the parameter `{name}` is given twice")));
            }
            all.insert(name, value.into_owned());
        }
        Ok(Self(all))
    }

    /// Refuse those that an operation does not know.
    ///
    /// # Errors
    /// If there is one.
    pub(super) fn check(&self, known: &[String]) -> Result<(), ApiError> {
        match self.0.keys().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) if known.is_empty() => {
                Err(invalid(format!("unknown parameter `{name}`; this operation takes none")))
            }
            Some(name) => {
                let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Err(invalid(format!("unknown parameter `{name}`, expected one of {known}")))
            }
        }
    }

    /// A parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// How many items a client wants, but at most `most`.
    ///
    /// # Errors
    /// If it is not a number, or 0.
    pub(super) fn limit(&self, most: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text("limit") else { return Ok(most) };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u32>() {
            Ok(limit) if is_number && limit > 0 => Ok(most.min(limit as usize)),
            _ => Err(invalid(format!("`limit` is a number from 1 to {}, and not `{text}`", u32::MAX))),
        }
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new(Code::ParameterInvalid, message)
}
