//! `/hassock.js`: the client library, for pages (`client_library`).

use std::sync::LazyLock;

use http::header::IF_NONE_MATCH;
use http::{Method, Request};
use sha2::{Digest as _, Sha256};

use super::answer::{self, Answer};
use crate::host_state::RoutingTable;

/// Where it is.
const PATH: &str = "/hassock.js";

/// What `npm run build` in `host/client` has made of its sources.
static LIBRARY: &[u8] = include_bytes!("../../client/dist/hassock.js");

/// Changes with the content.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(LIBRARY);
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
});

/// Respond to a plain HTTP request if it is for the library.
pub(super) fn respond<B>(request: &Request<B>, routing: &RoutingTable) -> Option<Answer> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if !routing.client_library || !is_read || request.uri().path() != PATH || routing.routes.has_exactly(PATH) {
        return None;
    }
    let known = request.headers().get_all(IF_NONE_MATCH);
    let is_known = known.iter().filter_map(|value| value.to_str().ok()).any(|tags| has(tags, &TAG));
    Some(if is_known { answer::unchanged(&TAG) } else { answer::library(LIBRARY, &TAG) })
}

/// Whether the value of `If-None-Match` has a tag. A proxy that compresses what it passes on makes tags weak.
fn has(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others() {
        for tags in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*", "\"b\",W/\"a\""] {
            assert!(has(tags, "\"a\""), "{tags}");
        }
        for tags in ["", "\"b\"", "a", "W/a"] {
            assert!(!has(tags, "\"a\""), "{tags}");
        }
    }
}
