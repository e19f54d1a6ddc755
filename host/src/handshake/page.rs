//! The test page, and the data that the host gives to it: the state of the apps, which the page requests every second,
//! and the reason for which a handshake of the page was refused, which a browser does not tell to a page.
//!
//! A page of another origin cannot read the data. A client that is not a browser can: it sends any header. So the data
//! is public wherever `test_page` is on and the listener can be reached. A browser does not show the data if it loaded
//! the page by a domain and without TLS.

use std::sync::{Arc, LazyLock};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Request};
use serde_json::{Value, json};

use super::answer::{self, Answer};
use crate::app::App;
use crate::app::versions::{AppReport, VersionStatus, description};
use crate::host_state::RoutingTable;
use crate::notices::Notices;
use crate::request::{Routes, hosts, origin};

/// Where the page is, beside `/`: an app that `hassock dev` serves may have a page of its own there.
pub(crate) const PATH: &str = "/.hassock/";

/// The state of the apps.
const STATUS: &str = "/.hassock/status";

/// The last refusal of a handshake with the path and query in the parameter `target`.
const REFUSAL: &str = "/.hassock/refusal";

/// The header that browsers send with a request to tell how the page's origin relates to the host's. They send it only
/// from pages with a trustworthy address.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page without the list of apps.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let script = concat!(
        include_str!("page/text.js"),
        include_str!("page/log.js"),
        include_str!("page/client.js"),
        include_str!("page/page.js"),
    );
    include_str!("page/page.html")
        .replace("{{STYLE}}", include_str!("page/page.css"))
        .replace("{{SCRIPT}}", script)
        .replace("{{VERSION}}", crate::VERSION)
});

/// Respond to a plain HTTP request if it is for the test page.
pub(super) fn respond<B>(request: &Request<B>, table: &RoutingTable, notices: &Notices) -> Option<Answer> {
    if !table.test_page {
        return None;
    }
    match request.uri().path() {
        "/" | PATH => Some(answer::page(render(&table.routes))),
        path @ (STATUS | REFUSAL) if request.method() == Method::GET => Some(match path {
            _ if !is_from_page(request.headers()) => answer::only_for_the_page(),
            STATUS => answer::page_data(&status(&table.routes, notices)),
            _ => answer::page_data(&refusal(request, notices)),
        }),
        _ => None,
    }
}

/// The path and query of a handshake, if the test page may ask why it was refused.
pub(super) fn target_of_interest<B>(request: &Request<B>, table: &RoutingTable) -> Option<String> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let origin = header(ORIGIN).filter(|_| table.test_page)?;
    origin::is_allowed(None, Some(origin), header(HOST))
        .then(|| request.uri().path_and_query())
        .flatten()
        .map(ToString::to_string)
}

/// Whether the headers of a request show that it may come from a page of this host. A browser sets them, and a page
/// cannot change them.
fn is_from_page(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match header(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        // The owner of a domain can let its name refer to this host while a browser shows a page of it (DNS rebinding).
        // Nobody owns an address or `localhost`.
        None => header(HOST).is_some_and(hosts::is_without_domain),
    };
    is_own && origin::is_allowed(None, header(ORIGIN), header(HOST))
}

/// The page with the apps that it can connect to.
fn render(routes: &Routes<Arc<App>>) -> String {
    let apps: Vec<_> = routes.all().map(|(app, path)| json!({ "app": app, "path": path })).collect();
    // A `<` could end the script element that contains the list.
    let apps = json!(apps).to_string().replace('<', "\\u003c");
    PAGE.replace("{{APPS}}", &apps)
}

fn status(routes: &Routes<Arc<App>>, notices: &Notices) -> Value {
    let path = |app: &App| routes.all().find(|(name, _)| *name == &*app.name).map(|(_, path)| path.to_owned());
    let apps: Vec<Value> = routes.apps().map(|app| app_status(app, path(app).unwrap_or_default())).collect();
    json!({ "apps": apps, "build_failure": notices.build_failure() })
}

fn app_status(app: &App, path: String) -> Value {
    let report = description::app(app, path);
    let AppReport { app: name, path, versions, last_refusal, counts, .. } = report;
    let find = |state| versions.iter().find(|version| version.state == state);
    let canary = find(VersionStatus::Canary).map(|version| {
        let percent = version.canary_percent.unwrap_or_default();
        json!({ "version": version.version, "share": format!("{percent}%") })
    });
    json!({
        "app": name,
        "path": path,
        "version": find(VersionStatus::Serving).map(|version| &version.version),
        "canary": canary,
        "refusals": counts.refusals.values().sum::<u64>(),
        "refusal": last_refusal.map(|refusal| json!({ "kind": refusal.kind, "reason": refusal.message })),
        "samples": app.setup().config.samples,
    })
}

fn refusal<B>(request: &Request<B>, notices: &Notices) -> Value {
    let query = request.uri().query().unwrap_or_default();
    let target = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "target");
    let found = target.and_then(|(_, target)| notices.refusal(&target));
    let describe = |(when, refusal): (tokio::time::Instant, crate::notices::Refusal)| {
        json!({
            // The page asks at once. It uses the age to ignore a refusal of an earlier handshake.
            "age_ms": when.elapsed().as_millis() as u64,
            "by": refusal.by,
            "status": refusal.status.as_u16(),
            "status_text": refusal.status.canonical_reason().unwrap_or_default(),
            "reason": refusal.reason,
        })
    };
    json!({ "refusal": found.map(describe) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn only_a_page_of_this_host_may_ask() {
        let host = ("host", "localhost:8080");
        for fields in [
            vec![host],
            vec![("host", "127.0.0.1:8080")],
            vec![("host", "[::1]:8080")],
            vec![("host", "10.0.0.7")],
            vec![host, ("sec-fetch-site", "same-origin")],
            vec![("host", "chat.example.org"), ("sec-fetch-site", "same-origin")],
            vec![host, ("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(is_from_page(&headers(&fields)), "{fields:?}");
        }
        for fields in [
            vec![],
            vec![("host", "evil.org:8080")],
            vec![("host", "127.0.0.1.evil.org")],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "same-site")],
            vec![host, ("sec-fetch-site", "none")],
            vec![host, ("origin", "http://localhost:5173")],
            vec![host, ("origin", "null"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!is_from_page(&headers(&fields)), "{fields:?}");
        }
    }
}
