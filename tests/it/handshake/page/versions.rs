//! What the test page shows about versions and builds.

use hassock::deploy::Rollout;
use hassock_tests::{Process, Site, marked, module_file, version_of};

use super::*;

/// The page names the version that serves, and a row says when another one takes over, is refused, or is tried as a
/// canary; and when a build failed. The reasons stay text.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_and_a_failed_build_are_told() {
    let file = module_file(&marked("v1"));
    let config = format!("listen = \"127.0.0.1:0\"\ntest_page = true\nwatch = false\n{}", app("marked", file.path()));
    let host = Host::start(Config::parse(Path::new("hassock.toml"), &config).unwrap()).await.unwrap();
    let (v1, v2, v3) = (version_of("v1"), version_of("v2"), version_of("v3"));
    let browser = page(&host, "#/marked").await;
    status(&browser, "Open – /marked").await;
    let shown = |text: String| format!("document.querySelector('#version').textContent === {}", json!(text));
    browser.until(&shown(format!("version {v1}"))).await;
    assert_eq!(browser.texts(".row.version").await, [] as [&str; 0], "the first version is not new");

    host.control().deploy("marked", marked("v2"), Rollout::Full).await.unwrap();
    row(&browser, "version", &format!("Version {v2} took over from {v1}")).await;
    browser.until(&shown(format!("version {v2}"))).await;
    send(&browser, "who").await;
    row(&browser, "received", "v2 who").await;

    host.control().deploy("marked", marked("v3"), Rollout::Canary("10%".parse().unwrap())).await.unwrap();
    row(&browser, "version", &format!("Version {v3} serves 10% of the connections as a canary")).await;
    browser.until(&shown(format!("version {v2}, 10% of the connections: {v3}"))).await;
    host.control().rollback("marked").unwrap();
    row(&browser, "version", &format!("Version {v3} is not a canary any more")).await;

    host.control().deploy("marked", b"no module".to_vec(), Rollout::Full).await.unwrap_err();
    row(&browser, "error", &format!("The host refused a new version; {v2} continues to serve. ")).await;
    assert_eq!(browser.texts(".row.version").await.len(), 3);
    assert_eq!(console_errors(&browser).await, []);
    browser.close().await;
    assert_eq!(host.drain().await, 0);
}

/// A build that fails in `hassock dev` is a row of the page too; the next build that succeeds takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_of_dev_is_told() {
    let site = Site::new(&format!("{}build = \"cp source.bin app.wasm\"\n", app("marked", Path::new("app.wasm"))));
    site.put("source.bin", marked("v1"));
    let dev = Process::hassock(site.folder(), ["dev", ".", "--listen", "127.0.0.1:0"]);
    let address = dev.line("Test page  ").await;
    let browser = Browser::start().await;
    browser.open(&format!("{address}#/marked")).await;
    status(&browser, "Open – /marked").await;
    std::fs::remove_file(site.file("source.bin")).unwrap();
    let words = "The build failed; the running version continues to serve. marked: `cp source.bin app.wasm` failed";
    let (reason, _) = error_row(&browser, words).await;
    assert!(reason.ends_with("see the terminal"), "{reason}");
    assert_eq!(browser.texts(".row.error").await.len(), 1);
    site.put("source.bin", marked("v2"));
    row(&browser, "version", &format!("Version {} took over from {}", version_of("v2"), version_of("v1"))).await;
    // A page that is opened now does not show the failure.
    browser.open(&format!("{address}#/marked?again")).await;
    browser.eval("location.reload()").await;
    browser.until("document.querySelector('#version code')?.textContent.length === 12").await;
    assert_eq!(browser.texts(".row.error").await, [] as [&str; 0]);
    browser.close().await;
}
