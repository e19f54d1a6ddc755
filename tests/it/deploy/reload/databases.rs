//! What a reload does to databases, their sessions, grants, and calls that use them.

use hassock::deploy::{DeployError, Rollout};
use hassock_tests::{Client, TestDatabase, TestHost, app, app_with_database, eventually, guest, marked, module_file};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Databases in memory, and `probe` with these grants.
fn config(databases: &[&str], grants: &str) -> String {
    let database = |name: &&str| format!("[databases.{name}]\nurl = \"sqlite::memory:\"\n");
    let databases: String = databases.iter().map(database).collect();
    format!("{databases}{}databases = {{ {grants} }}\n", app("probe", &guest("probe")))
}

/// What the module gets when it opens a database: `open`, or the case of the error.
async fn open(client: &mut Client, name: &str) -> Value {
    let mut answer = client.try_probe(json!({ "open": name })).await;
    answer.get_mut(if answer.get("ok").is_some() { "ok" } else { "sql" }).unwrap().take()
}

/// Invariant 6: a grant that is added can be used at once by open connections; one that is taken away cannot.
#[tokio::test(flavor = "multi_thread")]
async fn grants_come_and_go() {
    let main = "main = \"read-write\"";
    let host = TestHost::start(&config(&["main"], main)).await;
    let mut client = host.connect("/probe").await;
    client.execute("CREATE TABLE t (n BIGINT)", json!([])).await;
    assert_eq!(open(&mut client, "other").await, "unknown-database");

    host.reload(&config(&["main", "other"], main)).await.unwrap();
    assert_eq!(open(&mut client, "other").await, "denied");
    host.reload(&config(&["main", "other"], &format!("{main}, other = \"read-only\""))).await.unwrap();
    assert_eq!(open(&mut client, "other").await, "open");

    client.execute("INSERT INTO t (n) VALUES (1)", json!([])).await;
    host.reload(&config(&["main", "other"], "main = \"read-only\", other = \"read-only\"")).await.unwrap();
    assert_eq!(client.sql_error("INSERT INTO t (n) VALUES (2)", json!([])).await.0, "denied");
    assert_eq!(client.query("SELECT n FROM t", json!([])).await, json!([[{ "s64": 1 }]]), "the database stayed open");

    host.reload(&config(&["main", "other"], "other = \"read-only\"")).await.unwrap();
    assert_eq!(open(&mut client, "main").await, "denied");
    host.reload(&config(&["other"], "other = \"read-only\"")).await.unwrap();
    assert_eq!(open(&mut client, "main").await, "unknown-database");
}

/// One reload can end a grant and replace the module that needed it. If the new module needs the grant as well, the
/// reload is refused, and counted as a refusal of the module.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_goes_with_the_module_that_needed_it() {
    let file = module_file(&std::fs::read(guest("probe")).unwrap());
    let granted = app_with_database("app", file.path(), "sqlite::memory:");
    let host = TestHost::start(&granted).await;
    let mut client = host.connect("/app").await;
    let other = [std::fs::read(guest("probe")).unwrap(), vec![0, 3, 1, b'v', 1]].concat();
    std::fs::write(file.path(), other).unwrap();
    let error = host.reload(&app("app", file.path())).await.unwrap_err().to_string();
    assert!(error.contains("apps.app.module: the module imports `hassock:host/sql@0.1.0`"), "{error}");
    assert_eq!(host.report("app").counts.refusals["imports"], 1);

    std::fs::write(file.path(), marked("v2")).unwrap();
    host.reload(&app("app", file.path())).await.unwrap();
    assert_eq!(client.served_by().await, "v2");
}

/// Invariant 6, for versions that are kept: a rollback does not go back to one that needs a grant which is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_its_grant_is_not_returned_to() {
    let host = TestHost::start(&config(&["main"], "main = \"read-write\"")).await;
    let mut client = host.connect("/probe").await;
    let control = host.host.control();
    control.deploy("probe", marked("v2"), Rollout::Full).await.unwrap();
    host.reload(&app("probe", &guest("probe"))).await.unwrap();
    assert!(matches!(control.rollback("probe"), Err(DeployError::NoPrevious { .. })));
    assert_eq!(client.served_by().await, "v2");
    // When the grant is back, the rollback works.
    host.reload(&config(&["main"], "main = \"read-only\"")).await.unwrap();
    control.rollback("probe").unwrap();
    assert_eq!(client.ask("echo").await, "echo");
}

/// A database that did not change stays open, whatever else changed; one that changed is opened again.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_database_that_changed_is_opened_again() {
    let main = "main = \"read-write\"";
    let host = TestHost::start(&config(&["main"], main)).await;
    let mut client = host.connect("/probe").await;
    client.execute("CREATE TABLE t (n BIGINT)", json!([])).await;
    let more = format!("{}settings.a = 1\n[limits]\nmax_connections = 7\n", config(&["main", "other"], main));
    let report = host.reload(&more).await.unwrap();
    assert!(report.changes.contains(&"the database `other` is new".to_owned()), "{report:?}");
    assert_eq!(client.query("SELECT n FROM t", json!([])).await, json!([]));

    let changed = config(&["main"], main).replace("memory:\"", "memory:\"\nmax_rows = 5");
    let report = host.reload(&changed).await.unwrap();
    for change in ["the database `main` was opened again", "the database `other` is gone"] {
        assert!(report.changes.iter().any(|known| known == change), "{change}: {report:?}");
    }
    // It is in memory, so it is empty when it is opened again.
    assert_eq!(client.sql_error("SELECT n FROM t", json!([])).await.0, "syntax");
}

/// The sessions of a database, except the one of this query.
async fn sessions(database: &TestDatabase) -> i64 {
    database.number("SELECT COUNT(*) - 1 FROM information_schema.processlist WHERE db = DATABASE()").await
}

/// The sessions of a database that changed, or is gone, are closed when no call uses them any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_database_that_is_gone_are_closed() {
    let (one, other) = (TestDatabase::mariadb().await, TestDatabase::mariadb().await);
    let config = |main: &TestDatabase, keys: &str| {
        format!("{}{}databases.main = \"read-write\"\n", main.config(keys), app("probe", &guest("probe")))
    };
    let host = TestHost::start(&config(&one, "")).await;
    let (mut client, mut busy) = (host.connect("/probe").await, host.connect("/probe").await);
    client.query("SELECT 1", json!([])).await;
    busy.send(json!({ "query": { "sql": "SELECT SLEEP(1)" } }).to_string()).await;
    let asleep =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(1)' AND db = DATABASE()";
    eventually("a call that runs", || async { one.number(asleep).await == 1 }).await;

    host.reload(&config(&other, "")).await.unwrap();
    let name = other.url.rsplit('/').next().unwrap();
    assert_eq!(client.query("SELECT DATABASE()", json!([])).await, json!([[{ "text": name }]]));
    assert_eq!(busy.json().await, json!({ "ok": [[{ "s64": 0 }]] }), "the call that ran has its answer");
    eventually("the sessions to go", || async { sessions(&one).await == 0 }).await;

    // A config that is refused closes what it has opened, and nothing else.
    host.reload(&format!("{}{}", config(&one, ""), app("bad", "nowhere.wasm".as_ref()))).await.unwrap_err();
    eventually("the new sessions to go", || async { sessions(&one).await == 0 }).await;
    assert!(sessions(&other).await > 0);

    // The same database with other limits, and then none.
    host.reload(&config(&other, "max_connections = 3")).await.unwrap();
    client.query("SELECT 1", json!([])).await;
    host.reload(&app("marked", &guest("marked"))).await.unwrap();
    assert_eq!(client.closed().await.code, 1001);
    drop((client, busy));
    eventually("the sessions to go", || async { sessions(&other).await == 0 }).await;
}

/// Invariant 7: calls that use a database end before it is closed, and no call fails because it is opened again.
#[tokio::test(flavor = "multi_thread")]
async fn calls_do_not_notice_that_their_database_is_opened_again() {
    let database = TestDatabase::sqlite();
    let config = |rows: u32| {
        let database = database.config(&format!("max_rows = {rows}"));
        format!("{database}{}databases.main = \"read-write\"\n", app("probe", &guest("probe")))
    };
    let host = TestHost::start(&config(1)).await;
    let (running, observed) = watch::channel(true);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (mut client, observed) = (host.connect("/probe").await, observed.clone());
        tasks.spawn(async move {
            while *observed.borrow() {
                client.query("SELECT 1", json!([])).await;
            }
        });
    }
    for round in 2..50 {
        let report = host.reload(&config(round)).await.unwrap();
        assert_eq!(report.changes[0], "the database `main` was opened again");
    }
    running.send_replace(false);
    tasks.join_all().await;
}
