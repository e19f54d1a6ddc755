//! A disk that is full, for which a limit of the size of files stands: the system refuses to write more in both cases.

use std::fs;
use std::path::Path;
use std::process::Command;

use hassock_tests::{Daemon, Events, Process, Site, app, binary, eventually, guest, marked};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

/// Serve a site with a host that is told of a full file by an error alone. Otherwise a signal would end it, which there is
/// only for limits.
async fn serve(site: &Site) -> Daemon {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(binary()).current_dir(site.folder());
    let process = Process::start(command);
    let address = process.line("Starting server on ").await;
    Daemon { process, address }
}

fn insert() -> Value {
    let values = json!([{ "text": "x".repeat(10_000) }]);
    json!({ "execute": { "sql": "INSERT INTO t (data) VALUES (?)", "values": values } })
}

/// Statements that need room fail with an error, and nothing else does. What was committed is there, what was not is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_statements_of_sqlite_and_nothing_else() {
    let events = Events::new().await;
    let site = Site::new(&format!(
        "[cache]\nbytes = 0\n[databases.main]\nurl = \"sqlite://main.db\"\n[databases.events]\nurl = \"{}\"\n{}\
         databases = {{ main = \"read-write\", events = \"read-write\" }}\n\
         [apps.probe.settings]\nevents = true\nevents-in = \"events\"\n",
        events.url(),
        app("probe", &guest("probe")),
    ));
    let host = serve(&site).await;
    let (mut client, mut other) = (host.connect("/probe").await, host.connect("/probe").await);
    client.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, data TEXT)", json!([])).await;

    host.process.largest_file(512 << 10);
    let mut kept = 0;
    let refused = loop {
        let answer = client.try_probe(insert()).await;
        if answer["ok"].is_null() {
            break answer;
        }
        kept += 1;
        assert!(kept < 100, "there is room without end");
    };
    assert_eq!(refused["sql"], "other", "{refused}");
    assert!(kept > 5, "{kept}: {refused}");
    let steps = client.probe(json!({ "transaction": [insert(), insert(), "commit"] })).await;
    assert!(steps.as_array().unwrap().iter().any(|step| step["error"].is_string()), "{steps}");
    for client in [&mut client, &mut other] {
        assert_eq!(client.query("SELECT COUNT(*) FROM t", json!([])).await, json!([[{ "s64": kept }]]));
        assert_eq!(client.ask("unaffected").await, "unaffected");
    }
    assert_eq!(host.connect("/probe").await.ask("new").await, "new");

    host.process.unlimited("fsize");
    assert_eq!(other.probe(insert()).await["affected"], 1);
    assert_eq!(client.query("SELECT COUNT(*) FROM t", json!([])).await, json!([[{ "s64": kept + 1 }]]));
    drop((client, other));
    host.stop().await;
    assert_eq!(events.assert_each_closed_once().await, 3);
    let mut file = SqliteConnection::connect(&format!("sqlite://{}", site.file("main.db").display())).await.unwrap();
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut file).await.unwrap();
    assert_eq!(sound, "ok");
}

/// A version whose code cannot be kept is served all the same, and no part of it stays on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_no_code_and_serves_it() {
    let chat = app("chat", Path::new("chat.wasm"));
    let site = Site::new(&format!("[cache]\ndirectory = \"code\"\n{chat}"));
    site.put("chat.wasm", marked("v1"));
    let host = serve(&site).await;
    let mut client = host.connect("/chat").await;
    client.ask_until("v1").await;
    let files = || fs::read_dir(site.file("code")).unwrap().count();
    assert_eq!(files(), 2, "the key and the code");
    let sizes = fs::read_dir(site.file("code")).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let code = usize::try_from(sizes.max().unwrap_or_default()).unwrap();

    // All versions have the same size. The images of their memory are files too, and smaller.
    host.process.largest_file(code - 1);
    site.put("chat.wasm", marked("v2"));
    client.ask_until("v2").await;
    host.logs("compiled code is not kept", 1).await;
    assert_eq!(files(), 2, "the key and the code of v1");

    host.process.unlimited("fsize");
    site.put("chat.wasm", marked("v3"));
    client.ask_until("v3").await;
    eventually("the code of v3", || async { files() == 3 }).await;
    drop(client);
    host.stop().await;
}
