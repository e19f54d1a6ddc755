//! The folder `public` of an app, which `hassock dev` serves.

use hassock_tests::Raw;

use super::*;

/// The files in the folder `public` are served, as they are at that moment, and nothing outside of it. A page of the app takes
/// the place of the test page.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_an_app_are_served() {
    let project = Project::new("cp source.bin app.wasm");
    project.put(&example("echo"));
    project.write("secret.txt", "secret");
    fs::create_dir_all(project.folder.path().join("public/parts")).unwrap();
    project.write("public/parts/a b.css", "p {}");
    project.write("public/app", "at the path of the app");
    std::os::unix::fs::symlink("../secret.txt", project.folder.path().join("public/link.txt")).unwrap();
    let dev = project.dev();
    let address = address(&dev).await;
    let get = async |path: &str| {
        let mut raw = Raw::connect(&address).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
        raw.answer().await
    };
    assert!(get("/").await.body.contains("{\"app\":\"app\",\"path\":\"/app\"}"), "there is no other page yet");
    project.write("public/index.html", "<p>first");
    let page = get("/").await;
    assert_eq!((page.status, page.body.as_str()), (200, "<p>first"));
    assert_eq!(page.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control").as_deref(), Some("no-store"));
    project.write("public/index.html", "<p>second");
    assert_eq!(get("/?query").await.body, "<p>second");
    assert!(get("/.hassock/").await.body.contains("{\"app\":\"app\",\"path\":\"/app\"}"), "the test page");
    let part = get("/parts/a%20b.css").await;
    assert_eq!((part.body.as_str(), part.header("content-type").as_deref()), ("p {}", Some("text/css; charset=utf-8")));
    assert_eq!(get("/app").await.body, "at the path of the app");
    assert_eq!(Client::connect(&address, "/app").await.ask("hello").await, "hello");
    assert!(get("/hassock.js").await.body.contains("hassock.v1"));
    for path in
        ["/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/link.txt", "/parts", "/nothing", "/hassock.toml"]
    {
        assert_eq!(get(path).await.status, 404, "{path}");
    }

    // From the beginning, the page is printed too.
    drop(dev);
    let dev = project.dev();
    let page = dev.line("Page       http://").await;
    assert_eq!(dev.line("Test page  http://").await, format!("{page}.hassock/"));
}

/// `serve` serves no files.
#[tokio::test(flavor = "multi_thread")]
async fn only_dev_serves_files() {
    let host = hassock_tests::TestHost::start(&app("echo", &example("echo"))).await;
    fs::create_dir(host.file("public")).unwrap();
    fs::write(host.file("public/index.html"), "<p>page").unwrap();
    let mut raw = Raw::connect(&host.address()).await;
    raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 404);
}
