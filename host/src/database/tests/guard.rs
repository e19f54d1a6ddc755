//! What SQLite itself refuses to modules, however a statement is written, and what it does not.

use super::*;

async fn denied(handle: &Handle, statement: &str) -> String {
    match handle.execute(statement, vec![]).await {
        Err(DatabaseError::Denied(reason)) => reason,
        other => panic!("{statement}: {other:?}"),
    }
}

/// Spellings that the scanner reads differently than SQLite does. What is temporary would shadow the real table for all
/// later calls in this session, also those of other apps.
#[tokio::test]
async fn no_spelling_leaves_something_in_the_session() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE users (name TEXT)", vec![]).await.unwrap();
    main.execute("INSERT INTO users (name) VALUES ('real')", vec![]).await.unwrap();
    let reader = reader(&database).await;
    for handle in [&main, &reader] {
        for statement in [
            "CREATE \u{feff}TEMP TABLE users AS SELECT 'forged' AS name",
            "CREATE\u{feff}TEMPORARY VIEW users AS SELECT 'forged' AS name",
            "CREATE TEMP\u{feff} TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END",
            "CREATE TABLE temp \u{feff}.users AS SELECT 'forged' AS name",
            "CREATE TABLE temp /**/ . users (name TEXT)",
        ] {
            let refused = handle.execute(statement, vec![]).await;
            assert!(refused.is_err(), "{statement}");
            assert_eq!(count(handle, "SELECT name FROM users").await, text("real"), "{statement}");
        }
    }
    let reason = denied(&main, "CREATE \u{feff}TEMP TABLE t (a TEXT)").await;
    assert!(reason.contains("temporary"), "{reason}");
}

#[tokio::test]
async fn what_shows_the_machine_or_loads_code_is_denied() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    main.execute("CREATE TABLE t (a)", vec![]).await.unwrap();
    for (statement, named) in [
        ("SELECT file FROM pragma_database_list", "`database_list`"),
        ("SELECT * FROM pragma_compile_options", "`compile_options`"),
        ("SELECT load_extension('x')", "`load_extension`"),
        ("SELECT fts3_tokenizer('simple')", "`fts3_tokenizer`"),
        ("SELECT json_patch('{}', '{}')", "`json_patch`"),
        ("SELECT json_set('{}', '$.a', 1)", "`json_set`"),
        // SQLite takes these for constants, and inserts them without asking.
        ("INSERT INTO t VALUES (1), (json_patch('{}', '{}'))", "`json_patch`"),
        ("INSERT INTO t VALUES (1), (json_set('{}', '$.a', 1))", "`json_set`"),
        ("INSERT INTO t VALUES (1), (sqlite_compileoption_get(1))", "`sqlite_compileoption_get`"),
        ("SELECT * FROM dbstat", "`dbstat`"),
        ("CREATE VIRTUAL TABLE v USING dbstat(main)", "`dbstat`"),
    ] {
        let reason = denied(&main, statement).await;
        assert!(reason.contains(named), "{statement}: {reason}");
    }
}

/// What applications do with their tables.
#[tokio::test]
async fn what_is_usual_is_allowed() {
    let (database, _directory) = file(limits()).await;
    let main = writer(&database).await;
    for statement in [
        "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL, j TEXT)",
        "CREATE UNIQUE INDEX a_name ON a (lower(name))",
        "CREATE VIEW v AS SELECT replace(name, 'a', 'b') AS changed FROM a",
        "INSERT INTO a (name) VALUES ('anna'), ('bob')",
        "INSERT INTO a (name) VALUES ('bob') ON CONFLICT DO NOTHING",
        "ALTER TABLE a ADD COLUMN more TEXT DEFAULT 'x'",
        "ALTER TABLE a RENAME COLUMN more TO rest",
        "ALTER TABLE a DROP COLUMN rest",
        "DROP VIEW v",
        "ALTER TABLE a RENAME TO b",
        "REINDEX a_name",
        "CREATE VIRTUAL TABLE words USING fts5(text)",
        "INSERT INTO words (text) VALUES ('a fox')",
        "CREATE VIRTUAL TABLE places USING rtree(id, x0, x1)",
        "DELETE FROM b WHERE name LIKE 'b%'",
    ] {
        main.execute(statement, vec![]).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    for (statement, expected) in [
        ("SELECT highlight(words, 0, '<', '>') FROM words WHERE words MATCH 'fox'", text("a <fox>")),
        ("SELECT json_extract(json_object('at', datetime('now')), '$.at') IS NOT NULL FROM b", Value::S64(1)),
        ("SELECT name FROM pragma_table_info('b') WHERE pk", text("id")),
        ("SELECT group_concat(value, '-') FROM json_each('[1,2]')", text("1-2")),
        ("SELECT sum(n) OVER (ORDER BY n) FROM (SELECT 1 AS n)", Value::S64(1)),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT 3) SELECT max(n) FROM t", Value::S64(3)),
    ] {
        assert_eq!(count(&main, statement).await, expected, "{statement}");
    }
}

/// Invariant 4: nothing interrupts a function, so none may take long. The longest values that the limits allow.
#[tokio::test]
async fn no_function_computes_for_hours() {
    let database = memory(limits()).await;
    let main = writer(&database).await;
    let hay = "replace(hex(zeroblob(500000)), '0', 'a')";
    let needle = "replace(hex(zeroblob(250000)), '0', 'a')";
    for (statement, expected) in [
        (format!("SELECT instr({hay}, {needle} || 'b')"), Value::S64(0)),
        (format!("SELECT length(replace({hay}, {needle} || 'b', ''))"), Value::S64(1_000_000)),
        (format!("SELECT length(trim({hay}, replace(hex(zeroblob(250000)), '0', 'b') || 'a'))"), Value::S64(0)),
    ] {
        let limits = DatabaseConfig { query_timeout: Duration::from_secs(60).into(), ..limits() };
        let database = memory(limits).await;
        let patient = writer(&database).await;
        assert_eq!(count(&patient, &statement).await, expected, "{statement}");
    }
    for statement in [
        "SELECT instr(hex(zeroblob(20000000)), 'b')",
        "SELECT replace(hex(zeroblob(500000)), '0', 'abcdefgh')",
        "SELECT 'a' LIKE replace(hex(zeroblob(200)), '0', '%a')",
        "SELECT unhex('61', 'b')",
        "SELECT hex(zeroblob(600000))",
    ] {
        assert!(main.query(statement, vec![]).await.is_err(), "{statement}");
    }
}

/// Invariant 4: SQLite does not look at the clock before a program jumps, so no program is long and straight.
#[tokio::test]
async fn no_program_is_long_and_straight() {
    let patient = DatabaseConfig { query_timeout: Duration::from_secs(60).into(), ..limits() };
    let main = writer(&memory(patient).await).await;
    main.execute("CREATE TABLE t (a, b)", vec![]).await.unwrap();
    let list = |element: &str, count: usize, between: &str| vec![element; count].join(between);
    for long in [
        format!("SELECT {} FROM t", list(&list("a", 100, "+"), 200, ",")),
        format!("SELECT count(*) FROM t WHERE {}", list("a LIKE b", 15_000, " AND ")),
        format!("INSERT INTO t VALUES {}", list("(1, upper('a'))", 10_000, ",")),
    ] {
        let result = main.execute(&long, vec![]).await;
        assert!(matches!(result, Err(DatabaseError::TooLarge(_) | DatabaseError::Syntax(_))), "{result:?}");
    }
    let insert = format!("INSERT INTO t VALUES {}", list("(?,?)", 7_000, ","));
    assert_eq!(main.execute(&insert, vec![Value::S64(1); 14_000]).await.unwrap().affected_rows, 7_000);
    let some = format!("SELECT count(*) FROM t WHERE a IN ({})", list("1", 5_000, ","));
    assert_eq!(count(&main, &some).await, Value::S64(7_000));
}

/// Invariant 4: sorters that would use more memory together than all statements may.
#[tokio::test]
async fn sorters_leave_memory_to_others() {
    let patient = DatabaseConfig { max_connections: 8, query_timeout: Duration::from_secs(120).into(), ..limits() };
    let (database, _directory) = file(patient).await;
    let main = writer(&database).await;
    let sorter = "(SELECT count(*) FROM (SELECT zeroblob(10000) || i AS x FROM n ORDER BY x LIMIT -1 OFFSET 1))";
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)";
    let statement = format!("{rows} SELECT {}", vec![sorter; 150].join(", "));
    let all = (0..4).map(|_| main.query(&statement, vec![]));
    for result in futures_util::future::join_all(all).await {
        assert_eq!(result.map(|found| found.rows[0][149].clone()), Ok(Value::S64(249)));
    }
}

/// Invariant 4: SQLite reads nested statements by recursion. A stack that overflows ends the whole process.
#[tokio::test]
async fn no_nesting_overflows_the_stack() {
    let limits = DatabaseConfig { query_timeout: Duration::from_secs(60).into(), ..limits() };
    let main = writer(&memory(limits).await).await;
    let chained: Vec<String> =
        (1..6_000).map(|number| format!("a{number} AS (SELECT x FROM a{} LIMIT 9)", number - 1)).collect();
    for statement in [
        format!("WITH a0 AS (SELECT 1 x), {} SELECT x FROM a5999", chained.join(", ")),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(15_000), ")".repeat(15_000)),
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}1", "NOT ".repeat(60_000)),
        format!("SELECT 1 {}", " ".repeat(300_000)),
    ] {
        // Whether it is refused or runs: the process and the session are still there.
        let result = main.query(&statement, vec![]).await;
        assert_ne!(result, Err(DatabaseError::Timeout), "{}", &statement[..100]);
        assert_eq!(count(&main, "SELECT 1").await, Value::S64(1));
    }
}
