//! Several hosts on one database, and changes of the config.

use std::collections::BTreeSet;

use hassock::database::OutboxOrder;
use hassock_tests::{TestDatabase, TestHost, eventually, for_both_engines, hassock};

use super::{config, host, report};

/// Two hosts on one database: one of them publishes, each row once, and the other one takes over.
async fn of_two_hosts_one_publishes_each_row_once(database: TestDatabase) {
    let first = host(&database, "").await;
    eventually("the first to lead", || async { report(&first).leads }).await;
    let second = TestHost::start(&config(&database, "")).await;
    let (mut one, mut other) = (first.connect("/probe?topic=news").await, second.connect("/probe?topic=news").await);
    let mut program = database.program().await;
    for number in 0..50 {
        program.publish("news", &format!("{number}")).await;
    }
    for number in 0..50 {
        assert_eq!(one.text().await, number.to_string());
    }
    eventually("the rows to be removed", || async { database.waiting().await == 0 }).await;
    assert_eq!((report(&first).published, report(&second).published), (50, 0));
    assert!(!report(&second).leads);

    first.drain().await;
    program.publish("news", "taken over").await;
    assert_eq!(other.text().await, "taken over");
    assert!(report(&second).leads);
}

/// The outbox comes, changes and goes with the config, and nothing is lost or published twice meanwhile.
async fn a_reload_starts_and_stops_the_relay(database: TestDatabase) {
    let host = host(&database, "").await;
    let mut client = host.connect("/probe?topic=news").await;
    let (writes, mut program) = (60, database.program().await);
    let writing = tokio::spawn(async move {
        for number in 0..writes {
            program.publish("news", &format!("{number}")).await;
            tokio::task::yield_now().await;
        }
    });
    for batch in 1..10 {
        host.reload(&config(&database, &format!("batch = {batch}"))).await.unwrap();
    }
    writing.await.unwrap();
    for number in 0..writes {
        assert_eq!(client.text().await, number.to_string());
    }
    let gone = super::without_outbox(&database);
    host.reload(&gone).await.unwrap();
    database.program().await.publish("news", "waits").await;
    assert!(host.host.control().database_reports()[0].outbox.is_none());
    assert_eq!(database.waiting().await, 1);
    host.reload(&config(&database, "")).await.unwrap();
    assert_eq!(client.text().await, "waits");
}

for_both_engines!(of_two_hosts_one_publishes_each_row_once, a_reload_starts_and_stops_the_relay);

/// A host does not start without its table, and says which command makes it. `check` finds it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_one_problem_that_names_the_command() {
    let database = TestDatabase::mariadb().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hassock.toml"), config(&database, "")).unwrap();
    for command in ["serve", "check"] {
        let finished = hassock(folder.path(), [command]).await;
        assert_eq!(finished.code, Some(78));
        let printed = finished.stdout + &finished.stderr;
        assert!(
            printed.contains("hassock.toml:5: databases.main.outbox: database `main`: cannot use the table"),
            "{printed}"
        );
        assert!(printed.contains("`hassock outbox init` creates it"), "{printed}");
    }
    let finished = hassock(folder.path(), ["outbox", "init"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines: BTreeSet<&str> = finished.stdout.lines().collect();
    let expected = ["table `hassock_outbox`", "table `hassock_outbox_order`", "trigger `hassock_outbox_order`"];
    assert_eq!(
        lines,
        expected
            .iter()
            .map(|part| format!("database `main`: the {part}: created"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect()
    );
    let again = hassock(folder.path(), ["outbox", "init", "main"]).await;
    assert_eq!(again.stdout.matches(": there already").count(), 3, "{again:?}");
    let checked = hassock(folder.path(), ["check"]).await;
    assert_eq!(checked.stdout, "no problems\n", "{checked:?}");
}

/// The script for an administrator makes what `init` makes, and can be run again.
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_script_makes_an_outbox() {
    let database = TestDatabase::mariadb().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hassock.toml"), config(&database, "")).unwrap();
    let printed = hassock(folder.path(), ["outbox", "init", "--print"]).await.stdout;
    for _ in 0..2 {
        super::programs::mariadb_client(&database, &printed).await;
    }
    let again = hassock(folder.path(), ["outbox", "init"]).await;
    assert_eq!(again.stdout.matches(": there already").count(), 3, "{again:?}");
    let host = TestHost::start(&config(&database, "")).await;
    let mut client = host.connect("/probe?topic=news").await;
    database.program().await.publish("news", "hello").await;
    assert_eq!(client.text().await, "hello");
    assert!(
        database.number("SELECT CAST(MAX(turn) AS SIGNED) FROM hassock_outbox_order").await > 1_600_000_000_000_000
    );
}

/// A user who may not create triggers is told what to do, and `--without-order` does without one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_trigger_is_explained() {
    let database = TestDatabase::mariadb().await;
    let name = database.url.rsplit('/').next().unwrap();
    let user = format!("u_{name}");
    let mut root = database.program().await;
    root.run(&format!("CREATE USER {user}@'127.0.0.1'")).await;
    root.run(&format!("GRANT CREATE, INSERT, SELECT, DELETE ON {name}.* TO {user}@'127.0.0.1'")).await;
    let limited = TestDatabase::at(database.url.replace("root@", &format!("{user}@")));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hassock.toml"), config(&limited, "")).unwrap();
    let finished = hassock(folder.path(), ["outbox", "init"]).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for hint in ["hassock outbox init --print", "--without-order", "log_bin_trust_function_creators"] {
        assert!(finished.stderr.contains(hint), "{hint}: {finished:?}");
    }
    let finished = hassock(folder.path(), ["outbox", "init", "--without-order"]).await;
    assert!(finished.stdout.contains("the trigger `hassock_outbox_order`: left out"), "{finished:?}");
    // The host needs no right to create anything.
    let host = TestHost::start(&config(&limited, "")).await;
    let mut client = host.connect("/probe?topic=news").await;
    database.program().await.publish("news", "hello").await;
    assert_eq!(client.text().await, "hello");

    root.run(&format!("REVOKE DELETE ON {name}.* FROM {user}@'127.0.0.1'")).await;
    let finished = hassock(folder.path(), ["check"]).await;
    assert!(finished.stdout.contains("must be allowed to insert, read and delete its rows"), "{finished:?}");
}

/// SQLite's table is created with the file, and a database that the config does not have is an error.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_sqlite_needs_no_command() {
    let database = TestDatabase::sqlite();
    let host = TestHost::start(&config(&database, "")).await;
    let mut client = host.connect("/probe?topic=news").await;
    database.program().await.publish("news", "hello").await;
    assert_eq!(client.text().await, "hello");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hassock.toml"), config(&database, "")).unwrap();
    let finished = hassock(folder.path(), ["outbox", "init", "other"]).await;
    assert_eq!(finished.code, Some(78));
    assert!(finished.stderr.contains("no database `other`; it has `main`"), "{finished:?}");
    let script = hassock(folder.path(), ["outbox", "init", "--print"]).await.stdout;
    assert!(script.contains("AUTOINCREMENT"), "{script}");
    let empty = TestDatabase::sqlite();
    std::fs::write(folder.path().join("hassock.toml"), super::without_outbox(&empty)).unwrap();
    let finished = hassock(folder.path(), ["outbox", "init"]).await;
    assert!(finished.stderr.contains("add `[databases.NAME.outbox]`"), "{finished:?}");
    let finished = hassock(folder.path(), ["outbox", "init", "main"]).await;
    assert!(finished.stdout.contains("the table `hassock_outbox`: created\n"), "{finished:?}");
    assert!(finished.stdout.contains("add `[databases.main.outbox]` to the config"), "{finished:?}");
    empty.create_outbox(OutboxOrder::Commits).await;
}
