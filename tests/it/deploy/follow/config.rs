//! A config that changes: on SIGHUP, and under `hassock dev`. The files that are watched are those that it names.

use hassock_tests::{Client, Process, app_with_database, eventually, guest, refused};
use serde_json::json;

use super::*;

/// After SIGHUP the new path counts and the old one does not, and the file of a new app is watched like any other.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_reload_the_files_of_the_new_config_are_watched() {
    let site = site("");
    let host = site.serve().await;
    let mut chat = host.connect("/chat").await;
    fs::create_dir(site.file("moved")).unwrap();
    site.put("moved/chat.wasm", marked("v2"));
    site.put("added.wasm", marked("a1"));
    let old = fs::read_to_string(site.file("hassock.toml")).unwrap();
    let new = old.replace("\"chat.wasm\"", "\"moved/chat.wasm\"") + &app("added", Path::new("added.wasm"));
    site.put("hassock.toml", new);
    host.process.signal("HUP");
    host.logs(&format!("config: the app `chat` serves version {}", version_of("v2")), 1).await;
    host.logs(&format!("config: the app `added` is new, at /added, with version {}", version_of("a1")), 1).await;
    assert_eq!(chat.ask("who").await, "v2 who");
    let mut added = host.connect("/added").await;

    site.put("chat.wasm", marked("v0"));
    site.put("added.wasm", marked("a2"));
    added.ask_until("a2").await;
    settled(&site, &host, "w2").await;
    assert_eq!(chat.ask("who").await, "v2 who", "no app has the old file");
    site.put("moved/chat.wasm", marked("v3"));
    chat.ask_until("v3").await;

    // The file of an app that is gone is not watched any more, and its connections end.
    site.put("hassock.toml", old.replace("\"chat.wasm\"", "\"moved/chat.wasm\""));
    host.process.signal("HUP");
    assert_eq!(added.closed().await.code, 1001);
    host.logs("config: the app `added` is gone; its connections are closed with 1001", 1).await;
    assert_eq!(refused(&host.address, "/added", |_| {}).await.0, 404);
    site.put("added.wasm", marked("a3"));
    settled(&site, &host, "w3").await;
    drop(chat);
    let log = host.stop().await;
    assert_eq!((deploys(&log, "chat").len(), deploys(&log, "added").len()), (1, 1));
    assert!(!log.contains(&version_of("a3")) && !log.contains("\"ERROR\""), "{log}");
}

/// After SIGHUP without a change, the log says so, and nothing else happens. A config that cannot be applied is one
/// line, and the files of the old one are still watched.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_changes_nothing_says_so() {
    let site = site("");
    let host = site.serve().await;
    let mut chat = host.connect("/chat").await;
    for count in 1..=3 {
        host.process.signal("HUP");
        let said = host.logs("the config was read again and says the same", count).await;
        assert_eq!(said.last().unwrap()["level"], "INFO");
    }
    let old = fs::read_to_string(site.file("hassock.toml")).unwrap();
    site.put("hassock.toml", old.replace("\"chat.wasm\"", "\"nowhere.wasm\"").replace("\"/witness\"", "\"witness\""));
    host.process.signal("HUP");
    let refused = host.logs("the config was not applied, everything goes on as before: ", 1).await;
    assert_eq!((refused.len(), &refused[0]["level"]), (1, &"ERROR".into()));
    assert!(refused[0]["message"].as_str().unwrap().contains(": apps.witness.path: "), "{refused:?}");
    site.put("chat.wasm", marked("v2"));
    chat.ask_until("v2").await;
    site.put("hassock.toml", old);
    host.process.signal("HUP");
    host.logs("the config was read again and says the same", 4).await;
    drop(chat);
    let log = host.stop().await;
    assert_eq!((deploys(&log, "chat"), lines(&log, "config: ")), (vec![version_of("v2").into()], vec![]));
    assert_eq!(log.matches("\"ERROR\"").count(), 1, "{log}");
}

/// `hassock dev` takes a changed hassock.toml without a restart: a setting reaches the open connection, and a new app
/// is built and served. The problems of a wrong config are shown, and the old one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn dev_takes_a_changed_config() {
    let site = Site::new("");
    let config = |greeting: &str| {
        let probe = app_with_database("probe", Path::new("probe.wasm"), "sqlite::memory:");
        let build = format!("build = \"cp '{}' probe.wasm\"\n", guest("probe").display());
        format!("{probe}{build}[apps.probe.settings]\ngreeting = \"{greeting}\"\n")
    };
    site.put("hassock.toml", config("hello"));
    site.put("marked.bin", marked("v1"));
    let dev = Process::hassock(Path::new("/"), ["dev", site.folder().to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let address = dev.line("Test page  http://").await.trim_end_matches('/').to_owned();
    let mut client = Client::connect(&address, "/probe").await;
    assert_eq!(client.probe(json!({ "setting": "greeting" })).await, "hello");

    site.put("hassock.toml", config("good day"));
    let client = tokio::sync::Mutex::new(client);
    let greets = || async { client.lock().await.probe(json!({ "setting": "greeting" })).await == "good day" };
    eventually("the new greeting", greets).await;
    dev.complains("Now the app `probe` has other grants, limits, settings or origins").await;

    site.put("hassock.toml", config("x").replace("path = ", "paht = "));
    dev.complains("hassock.toml:").await;
    dev.complains(": apps.probe.paht: unknown key `paht`").await;
    dev.complains("The old config and module go on").await;
    assert!(greets().await);

    let added = format!("{}build = \"cp marked.bin marked.wasm\"\n", app("marked", Path::new("marked.wasm")));
    site.put("hassock.toml", config("good day") + &added);
    dev.complains(&format!("Now the app `marked` is new, at /marked, with version {}", version_of("v1"))).await;
    let mut marked_client = Client::connect(&address, "/marked").await;
    assert_eq!(marked_client.ask("who").await, "v1 who");
    // The file that it is built from is watched, like all in the folder.
    site.put("marked.bin", marked("v2"));
    marked_client.ask_until("v2").await;
    assert!(greets().await);
    dev.ctrl_c();
    assert_eq!(marked_client.closed().await.code, 1001);
    drop((client, marked_client));
    assert_eq!(dev.ends().await.code, Some(0));
}
