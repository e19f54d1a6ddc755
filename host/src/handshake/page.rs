//! The test page, as one response.

use bytes::Bytes;
use serde_json::json;

use crate::host_state::Routes;

const PAGE: &str = include_str!("page.html");

/// The page with the apps that it can talk to.
pub(super) fn render(routes: &Routes) -> Bytes {
    let apps: Vec<_> = routes
        .all()
        .iter()
        // A path with `/*` stands for many; the page offers the shortest of them.
        .map(|(app, path)| json!({ "app": app, "path": path.trim_end_matches('*') }))
        .collect();
    // `<` could end the script element that the list stands in.
    let apps = json!(apps).to_string().replace('<', "\\u003c");
    Bytes::from(PAGE.replace("{{APPS}}", &apps).replace("{{VERSION}}", crate::VERSION))
}
