//! The config read again while the host serves: in one step, or not at all.

mod databases;
mod limits;
mod refused;
mod traffic;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hassock::deploy::{Rollout, VersionStatus};
use hassock_tests::{
    Client, Events, Marked, Raw, TestHost, app, app_with_database, guest, marked, module_file, refused, version_of,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The status of an answer to a plain request for `/`, and whether it is the test page.
async fn page(host: &TestHost) -> (u16, String) {
    let mut raw = Raw::connect(&host.address()).await;
    raw.send("GET / HTTP/1.1\r\nHost: hassock.test\r\n\r\n").await;
    let answer = raw.answer().await;
    (answer.status, answer.body)
}

/// An app that is new in the config is served from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_app_is_served() {
    let (one, two) = (module_file(&marked("one")), module_file(&marked("two")));
    let host = TestHost::start(&app("one", one.path())).await;
    let mut client = host.connect("/one").await;
    assert_eq!(refused(&host.address(), "/two", |_| {}).await.0, 404);
    let both = format!("{}{}", app("one", one.path()), app("two", two.path()));
    let report = host.reload(&both).await.unwrap();
    assert_eq!(report.changes, [format!("the app `two` is new, at /two, with version {}", version_of("two"))]);
    assert_eq!(host.connect("/two").await.served_by().await, "two");
    assert_eq!(client.served_by().await, "one");
    assert_eq!((host.serving("two"), host.report("two").path), (version_of("two"), "/two".to_owned()));
    assert_eq!(host.reload(&both).await.unwrap().changes, Vec::<String>::new());
}

/// A file that changed is still being compiled when a reload names another file: what the reload serves stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_config_does_not_name_any_more_is_not_deployed() {
    let (old, new) = (module_file(&marked("v1")), module_file(&marked("v2")));
    // The other app has the new version, so its compiled code is in the cache and the reload is the faster of the two.
    let config = |module: &Path| format!("{}{}", app("marked", module), app("other", new.path()));
    let host = TestHost::start(&config(old.path())).await;
    let never_compiled = format!("v{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos());
    fs::write(old.path(), marked(&never_compiled)).unwrap();
    let new_config = config(new.path());
    let (deployed, reloaded) = tokio::join!(host.host.control().deploy_file("marked"), host.reload(&new_config));
    deployed.unwrap();
    reloaded.unwrap();
    assert_eq!((host.serving("marked"), host.report("marked").file_version), (version_of("v2"), version_of("v2")));
}

/// An app that is gone: its connections end with 1001 and get their `closed` (invariant 2), also if its database goes
/// with it. New ones are refused, and other apps do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_an_app_that_is_gone_are_closed_and_the_module_hears_of_it() {
    for database_goes_too in [false, true] {
        let (events, file) = (Events::new().await, module_file(&marked("v1")));
        let probe = app_with_database("probe", &guest("probe"), &events.url());
        let (settings, other) = ("[apps.probe.settings]\nevents = true\n", app("marked", file.path()));
        let host = TestHost::start(&format!("{probe}{settings}{other}")).await;
        let mut bystander = host.connect("/marked").await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(host.connect("/probe?topic=news").await);
        }
        let database = &probe[..probe.find("[apps").unwrap()];
        let rest = if database_goes_too { other } else { format!("{database}{other}") };
        let report = host.reload(&rest).await.unwrap();
        let gone = "the app `probe` is gone; its connections are closed with 1001";
        assert!(report.changes.iter().any(|change| change == gone), "{report:?}");
        for client in &mut clients {
            let closed = client.closed().await;
            assert_eq!((closed.code, closed.reason.as_str()), (1001, "the application is gone"));
        }
        drop(clients);
        assert_eq!(events.wait("closed", 5).await, vec!["1001 Host the application is gone"; 5]);
        assert_eq!(events.assert_each_closed_once().await, 5);
        assert_eq!(refused(&host.address(), "/probe", |_| {}).await.0, 404);
        assert!(host.host.control().report().iter().all(|report| report.app == "marked"));
        assert!(host.host.control().deploy("probe", marked("v2"), Rollout::Full).await.is_err());
        assert_eq!(bystander.served_by().await, "v1");
        assert_eq!(host.drain().await, 0);
    }
}

/// A call that runs when its app goes ends first: its answer comes before the close. Invariant 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_app_that_goes_ends_first() {
    let (one, two) = (module_file(&marked("one")), module_file(&marked("two")));
    let host = TestHost::start(&format!("{}{}", app("one", one.path()), app("two", two.path()))).await;
    let mut client = host.connect("/one").await;
    for number in 0..50 {
        client.send(format!("{number}")).await;
    }
    client.send("sleep").await;
    assert_eq!(client.text().await, "one 0");
    host.reload(&app("two", two.path())).await.unwrap();
    let mut expected = 1;
    let closed = loop {
        match client.try_text().await {
            Ok(text) if text == "one slept" => {}
            Ok(text) => assert_eq!(text, format!("one {expected}")),
            Err(closed) => break closed,
        }
        expected += 1;
    };
    assert_eq!(closed.code, 1001);
}

/// New connections follow the new paths; open ones stay with their app.
#[tokio::test(flavor = "multi_thread")]
async fn apps_may_exchange_paths_in_one_step() {
    let (one, two) = (module_file(&marked("one")), module_file(&marked("two")));
    let config = |first: &str, second: &str| {
        let (one, two) = (app("one", one.path()), app("two", two.path()));
        format!("{}{}", one.replace("\"/one\"", first), two.replace("\"/two\"", second))
    };
    let host = TestHost::start(&config("\"/a\"", "\"/b\"")).await;
    let (mut a, mut b) = (host.connect("/a").await, host.connect("/b").await);
    let report = host.reload(&config("\"/b\"", "\"/a/*\"")).await.unwrap();
    assert_eq!(report.changes, ["the app `one` is at /b now, not at /a", "the app `two` is at /a/* now, not at /b"]);
    assert_eq!((a.served_by().await, b.served_by().await), ("one".to_owned(), "two".to_owned()));
    assert_eq!(host.connect("/b").await.served_by().await, "one");
    assert_eq!(host.connect("/a/below").await.served_by().await, "two");
    assert_eq!(refused(&host.address(), "/a", |_| {}).await.0, 404);
    assert_eq!(host.report("two").path, "/a/*");
}

/// Settings are read again, by fresh instances, also those that an instance has read before.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_by_fresh_instances() {
    let config = |settings: &str| {
        let probe = app_with_database("probe", &guest("probe"), "sqlite::memory:");
        format!("{probe}limits.instances = 1\n[apps.probe.settings]\n{settings}\n")
    };
    let host = TestHost::start(&config("colour = \"red\"")).await;
    let mut client = host.connect("/probe").await;
    assert_eq!(client.probe(json!({ "setting": "colour" })).await, "red");
    host.reload(&config("colour = \"red\"")).await.unwrap();
    assert_eq!(client.probe(json!("calls")).await, 2, "nothing changed, so the instance stays");
    // `events` is read when an instance starts, and shows in the table that it then makes.
    let report = host.reload(&config("colour = \"blue\"\nevents = true")).await.unwrap();
    assert_eq!(report.changes, ["the app `probe` has other grants, limits, settings or origins"]);
    assert_eq!(client.probe(json!("calls")).await, 1);
    assert_eq!(client.probe(json!({ "setting": "colour" })).await, "blue");
    assert_eq!(client.query("SELECT COUNT(*) FROM event", json!([])).await, json!([[{ "s64": 0 }]]));
    host.reload(&config("")).await.unwrap();
    assert_eq!(client.probe(json!({ "setting": "colour" })).await, json!(null));
}

/// With other origins, other pages may connect; open connections stay.
#[tokio::test(flavor = "multi_thread")]
async fn origins_change_for_those_that_come() {
    let file = module_file(&marked("v1"));
    let config = |origin: &str| format!("{}origins = [\"{origin}\"]\n", app("marked", file.path()));
    let (one, other) = ("https://one.example", "https://other.example");
    let host = TestHost::start(&config(one)).await;
    let address = host.address();
    let connect = |origin: &'static str| {
        let address = address.clone();
        async move {
            let origin = HeaderValue::from_static(origin);
            let change = |request: &mut Request| drop(request.headers_mut().insert("origin", origin));
            Client::with(&address, "/marked", change).await
        }
    };
    let mut client = connect(one).await.unwrap();
    assert!(connect(other).await.is_err());
    host.reload(&config(other)).await.unwrap();
    assert!(connect(one).await.is_err());
    assert!(connect(other).await.is_ok());
    assert_eq!(client.served_by().await, "v1");
}

/// What was deployed by hand is not undone by a file that has not changed; one that has changed is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_deployed_again_only_if_its_file_changed() {
    let marked_app = Marked::start("v1", "").await;
    let (host, config) = (&marked_app.host, app("marked", marked_app.file.path()));
    let mut client = marked_app.connect().await;
    marked_app.deploy("v2").await;
    let mut settings = 0;
    let mut reload = async || {
        settings += 1;
        let config = format!("{config}settings.number = {settings}\n");
        host.reload(&config).await.unwrap().changes.last().cloned().unwrap()
    };
    let only_settings = "the app `marked` has other grants, limits, settings or origins";
    assert_eq!(reload().await, only_settings);
    assert_eq!(client.served_by().await, "v2");
    assert_eq!(host.report("marked").file_version, version_of("v1"));

    for name in ["v3", "v1"] {
        fs::write(marked_app.file.path(), marked(name)).unwrap();
        assert_eq!(reload().await, format!("the app `marked` serves version {}", version_of(name)));
        assert_eq!(client.served_by().await, name);
        assert_eq!(host.report("marked").file_version, version_of(name));
    }

    marked_app.roll_back().unwrap();
    assert_eq!(reload().await, only_settings);
    assert_eq!(
        (client.served_by().await, marked_app.version("v1").state),
        ("v3".to_owned(), VersionStatus::RolledBack)
    );
}

/// `swap` applies from the next deploy on, also from the one that comes with the same reload.
#[tokio::test(flavor = "multi_thread")]
async fn another_swap_applies_to_the_module_that_comes_with_it() {
    let marked_app = Marked::start("v1", "").await;
    let config = app("marked", marked_app.file.path());
    let mut client = marked_app.connect().await;
    fs::write(marked_app.file.path(), marked("v2")).unwrap();
    marked_app.host.reload(&format!("{config}swap = \"pin\"\n")).await.unwrap();
    let mut second = marked_app.connect().await;
    assert_eq!((client.served_by().await, second.served_by().await), ("v1".to_owned(), "v2".to_owned()));
    assert_eq!(
        (marked_app.host.report("marked").swap.as_str(), marked_app.version("v1").state),
        ("pin", VersionStatus::Draining)
    );
    fs::write(marked_app.file.path(), marked("v3")).unwrap();
    marked_app.host.reload(&config).await.unwrap();
    assert_eq!((marked_app.host.report("marked").swap.as_str(), second.served_by().await), ("live", "v3".to_owned()));
}

/// The test page comes and goes, and lists the apps that exist.
#[tokio::test(flavor = "multi_thread")]
async fn the_test_page_comes_and_goes() {
    let (one, two) = (module_file(&marked("one")), module_file(&marked("two")));
    let first = app("one", one.path());
    let host = TestHost::start(&first).await;
    assert_eq!(page(&host).await.0, 404);
    let report = host.reload(&format!("test_page = true\n{first}")).await.unwrap();
    assert_eq!(report.changes, ["the test page is served now"]);
    let (status, body) = page(&host).await;
    assert!(status == 200 && body.contains("\"/one\"") && !body.contains("\"/two\""), "{status}: {body}");
    host.reload(&format!("test_page = true\n{first}{}", app("two", two.path()))).await.unwrap();
    assert!(page(&host).await.1.contains("\"/two\""));
    assert_eq!(host.reload(&first).await.unwrap().changes.first().unwrap(), "the test page is not served any more");
    assert_eq!(page(&host).await.0, 404);
}
