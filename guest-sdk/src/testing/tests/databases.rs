//! Databases and transactions.

use super::*;
use crate::sql::Decimal;
use crate::testing::{Limits, Scripted};

fn host_with_table(columns: &str) -> MockHost<Puppet> {
    let host = builder().database("main").build();
    host.database("main").execute(&format!("CREATE TABLE t ({columns})"), []).unwrap();
    host
}

fn main() -> Database {
    Database::open("main").unwrap()
}

fn count(host: &MockHost<Puppet>) -> usize {
    host.database("main").query("SELECT * FROM t", []).unwrap().len()
}

fn sql_error<T>(result: Result<T>) -> SqlError {
    failed(result)
}

#[test]
fn the_test_and_the_handler_share_a_database() {
    let host = host_with_table("id INTEGER PRIMARY KEY, name TEXT");
    let client = client(&host);
    within(&client, |_| {
        let added = main().execute("INSERT INTO t (name) VALUES (?), (?)", params!["a", "b"]).unwrap();
        assert_eq!((added.affected_rows, added.last_insert_id), (2, Some(2)));
        let changed = main().execute("UPDATE t SET name = 'c' WHERE id = ?", params![1]).unwrap();
        assert_eq!((changed.affected_rows, changed.last_insert_id), (1, None));
        let defined = main().execute("CREATE INDEX i ON t (name)", []).unwrap();
        assert_eq!((defined.affected_rows, defined.last_insert_id), (0, None));
    });
    let rows = host.database("main").query("SELECT name FROM t ORDER BY id", []).unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get("name").unwrap()).collect();
    assert_eq!((rows.columns(), names), (["name".to_owned()].as_slice(), vec!["c".to_owned(), "b".to_owned()]));
    host.database("main").execute_batch("DELETE FROM t; INSERT INTO t (name) VALUES ('d');").unwrap();
    let none = within(&client, |_| main().query("SELECT id, name FROM t WHERE id = 7", []).unwrap());
    assert_eq!((none.len(), none.columns().len()), (0, 2), "also no rows have columns");
}

#[test]
fn values_come_back_as_from_the_real_host() {
    let columns = "a BOOLEAN, b BIGINT, c DOUBLE, d TEXT, e BLOB, f DATE, g TIME, h DATETIME, i TIMESTAMP, j BIGINT";
    let host = host_with_table(columns);
    let values = params![
        true,
        -5,
        1.5,
        Decimal("1.50".into()),
        vec![0_u8, 255],
        Value::Date("2026-01-31".into()),
        Value::Time("13:05:59".into()),
        Value::Datetime("2026-01-31T13:05:59".into()),
        Value::Timestamp("2026-01-31T13:05:59Z".into()),
        u64::MAX,
    ];
    let mut expected = values.to_vec();
    expected[3] = Value::Text("1.50".into());
    let read = within(&client(&host), move |_| {
        main().execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)?;
        main().execute("INSERT INTO t (a, b) VALUES (2, ?)", params![None::<i64>])?;
        main().query("SELECT * FROM t", [])
    });
    let rows: Vec<Row> = read.unwrap().into_iter().collect();
    assert_eq!(rows[0].values(), expected);
    assert_eq!(rows[1].values()[..2], [Value::S64(2), Value::Null]);
}

#[test]
fn errors_are_those_of_the_real_host() {
    let host = host_with_table("id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t (id)");
    within(&client(&host), |_| {
        let failing = |statement: &str| sql_error(main().execute(statement, []));
        assert!(matches!(failing("SELECT * FROM missing"), SqlError::Syntax(_)));
        assert!(matches!(failing("SELEKT 1"), SqlError::Syntax(_)));
        assert!(matches!(failing("SELECT 1; SELECT 2"), SqlError::Syntax(_)));
        assert!(matches!(failing("BEGIN"), SqlError::Denied(_)));
        assert!(matches!(failing("PRAGMA foreign_keys = OFF"), SqlError::Denied(_)));
        assert!(matches!(failing("INSERT INTO t VALUES (1, 2)"), SqlError::Constraint(_)), "foreign keys are checked");
        let text = "the statement has 1 `?` but 2 parameters were given";
        assert_eq!(sql_error(main().query("SELECT ?", params![1, 2])), SqlError::Syntax(text.into()));
        assert!(matches!(sql_error(main().query("SELECT ?1", params![1])), SqlError::Syntax(_)));
        assert!(matches!(sql_error(main().query("SELECT :a", params![1])), SqlError::Syntax(_)));
        assert!(matches!(sql_error(main().query("SELECT ?", params![f64::NAN])), SqlError::Other(_)));
        assert!(matches!(sql_error(Database::open("other")), SqlError::UnknownDatabase(_)));
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 10000) SELECT i FROM n";
        assert!(matches!(sql_error(main().query(many, [])), SqlError::TooLarge(_)));
    });
}

#[test]
fn a_read_only_database_is_written_by_the_test_alone() {
    let host = builder().read_only_database("main").build();
    host.database("main").execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1);").unwrap();
    within(&client(&host), |_| {
        assert_eq!(main().query("SELECT a FROM t", []).unwrap().len(), 1);
        assert!(matches!(sql_error(main().execute("DELETE FROM t", [])), SqlError::Denied(_)));
        let writes = main().transaction(|transaction| transaction.execute("DELETE FROM t", []));
        assert!(matches!(sql_error(writes), SqlError::Denied(_)));
    });
    assert_eq!(count(&host), 1);
}

#[test]
fn a_transaction_happens_as_a_whole_or_not_at_all() {
    let host = host_with_table("a");
    let client = client(&host);
    let insert = |transaction: &Transaction| transaction.execute("INSERT INTO t VALUES (1)", []);
    within(&client, move |_| main().transaction(insert)).unwrap();
    assert_eq!(count(&host), 1);
    let failed = within(&client, move |_| {
        main().transaction(|transaction| {
            insert(transaction)?;
            bail!("changed my mind") as Result<()>
        })
    });
    assert_eq!(failed.unwrap_err().to_string(), "changed my mind");
    assert_eq!(count(&host), 1);
}

/// Invariant 8: what a call leaves open is rolled back, even if the handle is kept.
/// What a transaction publishes is published with its commit, and never without.
#[test]
fn a_transaction_publishes_when_it_is_committed() {
    let host = builder().database("main").read_only_database("other").build();
    host.database("main").execute("CREATE TABLE t (n INTEGER)", []).unwrap();
    let client = client(&host);
    within(&client, |connection| {
        connection.subscribe("news").unwrap();
        main()
            .transaction(|transaction| {
                transaction.publish("news", "one")?;
                transaction.execute("INSERT INTO t VALUES (1)", [])?;
                transaction.publish_json("news", &2)?;
                assert!(sql_error(transaction.publish("", "x")).to_string().contains("1 to 256 bytes"));
                let large = vec![0; (1 << 20) + 1];
                assert!(matches!(sql_error(transaction.publish("news", large)), SqlError::TooLarge(_)));
                Ok(())
            })
            .unwrap();
        let failed: Result<()> = main().transaction(|transaction| {
            transaction.publish("news", "never")?;
            crate::bail!("told to")
        });
        failed.unwrap_err();
        let left_open = main().begin().unwrap();
        left_open.publish("news", "never").unwrap();
        std::mem::forget(left_open);
    });
    within(&client, |_| {
        let lost = main().begin().unwrap();
        lost.publish("news", "never").unwrap();
        drop(lost);
        main().begin().unwrap().commit().unwrap();
        let read_only = Database::open("other").unwrap().begin().unwrap();
        assert!(matches!(sql_error(read_only.publish("news", "never")), SqlError::Denied(_)));
    });
    client.expect_text("one");
    client.expect_text("2");
    client.expect_nothing();
}

#[test]
fn an_open_transaction_ends_with_its_call() {
    let host = host_with_table("a");
    let client = client(&host);
    let kept = within(&client, |_| {
        let transaction = main().begin().unwrap();
        transaction.execute("INSERT INTO t VALUES (1)", []).unwrap();
        transaction
    });
    assert_eq!(count(&host), 0);
    let text = "the transaction has ended; it ends with the call that began it";
    within(&client, move |_| {
        let other = main().begin().unwrap();
        assert_eq!(sql_error(kept.execute("INSERT INTO t VALUES (1)", [])), SqlError::Other(text.into()));
        assert_eq!(sql_error(kept.commit()), SqlError::Other(text.into()));
        other.execute("INSERT INTO t VALUES (2)", []).unwrap();
        other.commit().unwrap();
        drop(main().begin().unwrap());
        main().execute("INSERT INTO t VALUES (3)", []).unwrap();
    });
    assert_eq!(count(&host), 2);
}

#[test]
fn a_transaction_has_the_only_connection() {
    let limits = Limits { transactions_per_call: 2, ..Limits::default() };
    let host = builder().database("main").limits(limits).build();
    within(&client(&host), |_| {
        let transaction = main().begin().unwrap();
        assert_eq!(sql_error(main().query("SELECT 1", [])), SqlError::PoolExhausted);
        assert_eq!(sql_error(main().begin()), SqlError::PoolExhausted);
        transaction.rollback().unwrap();
        main().query("SELECT 1", []).unwrap();
    });
}

/// `transactions_per_call`, which the real host checks for each database before it looks for a connection.
#[test]
fn a_call_has_so_many_transactions_at_a_time() {
    let host = builder().database("main").scripted("other", |_, _| Ok(Scripted::changed(0))).build();
    let client = client(&host);
    let forgotten = within(&client, |_| {
        let transaction = main().begin().unwrap();
        let text =
            "the call has 1 open transactions on `main`, as many as `transactions_per_call` allows; end one first";
        assert_eq!(sql_error(main().begin()), SqlError::Denied(text.into()));
        Database::open("other").unwrap().begin().unwrap().commit().unwrap();
        transaction.commit().unwrap();
        main().begin().unwrap()
    });
    within(&client, |_| main().begin().unwrap().commit().unwrap());
    drop(forgotten);
}

#[test]
fn a_statement_fails_when_the_test_says_so() {
    let host = host_with_table("a");
    let client = client(&host);
    host.fail_statement("main", SqlError::Timeout);
    host.fail_statement("main", SqlError::ConnectionLost("pulled".into()));
    host.database("main").query("SELECT 1", []).unwrap();
    within(&client, |_| {
        assert_eq!(sql_error(main().execute("INSERT INTO t VALUES (1)", [])), SqlError::Timeout);
        let transaction = main().begin().unwrap();
        let lost = sql_error(transaction.execute("INSERT INTO t VALUES (1)", []));
        assert_eq!(lost, SqlError::ConnectionLost("pulled".into()));
        let text = "the transaction was rolled back when an earlier statement failed";
        assert_eq!(sql_error(transaction.execute("INSERT INTO t VALUES (1)", [])), SqlError::Other(text.into()));
        transaction.rollback().unwrap();
        main().execute("INSERT INTO t VALUES (1)", []).unwrap();
    });
    assert_eq!(count(&host), 1);
}

/// Otherwise each statement after it would commit by itself.
#[test]
fn a_transaction_that_sqlite_ends_is_over() {
    let host = host_with_table("a UNIQUE ON CONFLICT ROLLBACK");
    within(&client(&host), |_| {
        let transaction = main().begin().unwrap();
        transaction.execute("INSERT INTO t VALUES (1)", []).unwrap();
        assert!(matches!(sql_error(transaction.execute("INSERT INTO t VALUES (1)", [])), SqlError::Constraint(_)));
        assert!(matches!(sql_error(transaction.execute("INSERT INTO t VALUES (2)", [])), SqlError::Other(_)));
        assert!(matches!(sql_error(transaction.commit()), SqlError::Other(_)));
    });
    assert_eq!(count(&host), 0);
}

#[test]
fn a_script_answers_what_the_test_says() {
    let mut asked = 0;
    let script = move |statement: &str, parameters: &[Value]| {
        asked += 1;
        match statement {
            "rows" => Ok(Scripted::rows(["n", "v"], [vec![Value::S64(asked), parameters[0].clone()]])),
            "insert" => Ok(Scripted::inserted(7)),
            "change" => Ok(Scripted::changed(3)),
            _ => Err(SqlError::Timeout),
        }
    };
    let host = builder().scripted("main", script).build();
    host.fail_statement("main", SqlError::PoolExhausted);
    within(&client(&host), |_| {
        assert_eq!(sql_error(main().query("rows", params!["x"])), SqlError::PoolExhausted);
        let row = main().query("rows", params!["x"]).unwrap().one().unwrap();
        assert_eq!((row.get::<i64>("n").unwrap(), row.get::<String>("v").unwrap()), (1, "x".to_owned()));
        let inserted = main().transaction(|transaction| transaction.execute("insert", [])).unwrap();
        assert_eq!((inserted.affected_rows, inserted.last_insert_id), (1, Some(7)));
        assert_eq!(main().execute("change", []).unwrap().affected_rows, 3);
        assert_eq!(main().execute("rows", params![1]).unwrap().affected_rows, 0);
        assert!(main().query("change", []).unwrap().is_empty());
        assert_eq!(sql_error(main().query("else", [])), SqlError::Timeout);
    });
    assert!(matches!(sql_error(host.database("main").query("rows", [])), SqlError::Other(_)));
}
