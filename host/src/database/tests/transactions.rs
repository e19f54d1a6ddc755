//! Transactions, and calls that wait for each other.

use super::*;

/// Invariant 8.
#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let (in_file, _directory) = file(limits()).await;
    for database in [in_file, memory(limits()).await] {
        let main = writer(&database).await;
        main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
        let mut transaction = main.begin().await.unwrap();
        transaction.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
        drop(transaction);
        let mut transaction = main.begin().await.unwrap();
        let insert = transaction.execute("INSERT INTO t VALUES (?)", vec![Value::S64(2)]);
        insert.await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = main.begin().await.unwrap();
        transaction.execute("DELETE FROM t", vec![]).await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(count(&main, "SELECT sum(a) FROM t").await, Value::S64(2));
    }
}

/// Invariant 8: statements after a rollback by the database must not be committed one by one.
#[tokio::test]
async fn a_transaction_that_the_database_rolled_back_is_over() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT PRIMARY KEY)", vec![]).await.unwrap();
    let mut transaction = main.begin().await.unwrap();
    let insert = "INSERT OR ROLLBACK INTO t VALUES (1)";
    transaction.execute(insert, vec![]).await.unwrap();
    let result = transaction.execute(insert, vec![]).await;
    assert!(matches!(result, Err(DatabaseError::Constraint(_))), "{result:?}");
    let result = transaction.execute("INSERT INTO t VALUES (2)", vec![]).await;
    assert!(matches!(result, Err(DatabaseError::Other(_))), "{result:?}");
    let result = transaction.commit().await;
    assert!(matches!(result, Err(DatabaseError::Other(_))), "{result:?}");
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(0));

    let mut transaction = main.begin().await.unwrap();
    let endless = format!("INSERT INTO t {ENDLESS}");
    let result = transaction.execute(&endless, vec![]).await;
    assert_eq!(result, Err(DatabaseError::Timeout));
    let result = transaction.execute("INSERT INTO t VALUES (2)", vec![]).await;
    assert!(matches!(result, Err(DatabaseError::Other(_))), "{result:?}");
    transaction.rollback().await.unwrap();
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(0));
}

#[tokio::test]
async fn a_transaction_goes_on_after_a_constraint() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT PRIMARY KEY, b INT NOT NULL CHECK (b > 0))", vec![]).await.unwrap();
    main.execute("CREATE TABLE c (a INT REFERENCES t (a))", vec![]).await.unwrap();
    let mut transaction = main.begin().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1, 1)", vec![]).await.unwrap();
    for statement in [
        "INSERT INTO t VALUES (1, 1)",
        "INSERT INTO t VALUES (2, NULL)",
        "INSERT INTO t VALUES (2, 0)",
        "INSERT INTO c VALUES (9)",
    ] {
        let result = transaction.execute(statement, vec![]).await;
        assert!(matches!(result, Err(DatabaseError::Constraint(_))), "{statement}: {result:?}");
    }
    transaction.commit().await.unwrap();
    assert_eq!(count(&main, "SELECT count(*) FROM t").await, Value::S64(1));
}

/// Invariant 5.
#[tokio::test]
async fn a_busy_pool_says_so_and_a_lock_times_out() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    let mut first = main.begin().await.unwrap();
    first.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
    assert_eq!(main.begin().await.unwrap_err(), DatabaseError::Timeout);
    // Readers do not wait for the writer.
    let reader = reader(&database).await;
    let one = reader.begin().await.unwrap();
    let _two = reader.begin().await.unwrap();
    let result = reader.query("SELECT 1", vec![]).await;
    assert_eq!(result, Err(DatabaseError::PoolExhausted));
    drop(one);
    assert_eq!(count(&reader, "SELECT count(*) FROM t").await, Value::S64(0));
    first.commit().await.unwrap();
}

/// A reader of shared memory waits for the writer, but not longer than it would wait for any other session.
#[tokio::test]
async fn a_reader_of_memory_does_not_wait_for_ever() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    let reader = reader(&database).await;
    let mut transaction = main.begin().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
    let result = reader.query("SELECT * FROM t", vec![]).await;
    assert_eq!(result, Err(DatabaseError::PoolExhausted));
    transaction.commit().await.unwrap();
    assert_eq!(count(&reader, "SELECT count(*) FROM t").await, Value::S64(1));
}

/// In this test, no writer keeps the write-ahead log open.
#[tokio::test]
async fn a_file_can_be_granted_to_readers_only() {
    let (database, directory) = file(limits()).await;
    let reader = reader(&database).await;
    assert_eq!(count(&reader, "SELECT 1").await, Value::S64(1));
    let other = Database::open("other", &at("sqlite:test.db", limits()), directory.path()).await;
    let main = writer(&other.unwrap()).await;
    main.execute("CREATE TABLE t (a INT)", vec![]).await.unwrap();
    assert_eq!(count(&reader, "SELECT count(*) FROM t").await, Value::S64(0));
}
