//! Databases in memory, whose size is that of the host.

use super::*;

/// Insert until the database is full. Returns how many MiB it holds, and the error of the last insertion.
async fn fill(transaction: &mut Transaction) -> (usize, DatabaseError) {
    for filled in 0..2048 {
        let insert = transaction.execute("INSERT INTO t VALUES (zeroblob(1048000))", vec![]);
        if let Err(error) = insert.await {
            return (filled, error);
        }
    }
    panic!("it is never full");
}

async fn small() -> (Arc<Database>, Handle) {
    let database = memory(DatabaseConfig { max_memory_bytes: (8 << 20).into(), ..limits() }).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a BLOB)", vec![]).await.unwrap();
    (database, main)
}

/// Invariants 4 and 5, `max_memory_bytes`: a database that is full takes nothing from others.
#[tokio::test]
async fn a_full_database_in_memory_harms_no_other() {
    let (_full, main) = small().await;
    let mut transaction = main.begin().await.unwrap();
    let (filled, error) = fill(&mut transaction).await;
    assert!((6..=8).contains(&filled), "{filled} MiB");
    assert!(matches!(&error, DatabaseError::Other(text) if text.contains("max_memory_bytes")), "{error:?}");

    let (_other, beside) = small().await;
    let (in_file, _directory) = file(limits()).await;
    let (in_file, sql) = (writer(&in_file).await, "INSERT INTO t VALUES (zeroblob(1000000))");
    in_file.execute("CREATE TABLE t (a BLOB)", vec![]).await.unwrap();
    for other in [&beside, &in_file] {
        other.execute(sql, vec![]).await.unwrap();
    }
    drop(transaction);

    // The database is still sound, and has room for what is deleted.
    let mut transaction = main.begin().await.unwrap();
    let (filled, _) = fill(&mut transaction).await;
    drop(transaction);
    assert!(filled >= 6, "{filled} MiB");
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(0));
}

/// A module cannot change the bound, and the sessions that come later have it too.
#[tokio::test]
async fn no_session_of_a_module_gets_another_bound() {
    let (database, main) = small().await;
    for sql in ["PRAGMA max_page_count = 1000000", "PRAGMA main.max_page_count(1000000)", "PRAGMA cache_size = 1000000"]
    {
        let result = main.query(sql, vec![]).await;
        assert!(matches!(result, Err(DatabaseError::Denied(_))), "{sql}: {result:?}");
    }
    let reader = reader(&database).await;
    assert_eq!(count(&reader, "SELECT count(*) FROM t").await, Value::S64(0));
    let mut transaction = main.begin().await.unwrap();
    let (filled, _) = fill(&mut transaction).await;
    assert!((6..=8).contains(&filled), "{filled} MiB");
}
