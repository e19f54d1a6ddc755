//! Which statements are allowed, and how they are classified.

use super::*;

fn checked(sql: &str, dialect: Dialect, parameters: usize) -> Result<Verb, DatabaseError> {
    let context = Context { dialect, access: Access::ReadWrite, in_transaction: false };
    check(sql, parameters, context)
}

#[test]
fn good_statements_pass() {
    use Dialect::{MySql, Sqlite};
    for (dialect, sql, parameters, verb) in [
        (MySql, "select 1;", 0, Verb::Read),
        (MySql, " ; ", usize::MAX, Verb::Read),
        (MySql, "(SELECT 1) UNION (SELECT ?)", 1, Verb::Read),
        (MySql, "SELECT '?', \"?\", `?`, ? -- ?\n", 1, Verb::Read),
        (MySql, "SELECT 'it\\'s ?', 'it''s ?', ? # ?", 1, Verb::Read),
        (MySql, "SELECT 5--?", 1, Verb::Read),
        (MySql, "/* ? ; */ SELECT /*+ hint */ ?", 1, Verb::Read),
        (MySql, "SELECT @@version", 0, Verb::Read),
        (MySql, "CREATE DEFINER=`a`@`b` VIEW v AS SELECT 1", 0, Verb::Define),
        (MySql, "CREATE DEFINER=a@localhost VIEW v AS SELECT 1", 0, Verb::Define),
        (MySql, "CREATE TABLE t (temp DOUBLE, temporary INT)", 0, Verb::Define),
        (MySql, "CALL p(?)", 1, Verb::Call),
        (MySql, "SELECT get_lock, `load_file` FROM t WHERE (a)", 0, Verb::Read),
        (MySql, "WITH x AS (SELECT 1) SELECT * FROM x", 0, Verb::Read),
        (Sqlite, "WITH x AS (SELECT 1) INSERT INTO t SELECT ?", 1, Verb::Insert),
        (Sqlite, "SELECT [?], 'a\\', ? --?", 1, Verb::Read),
        (Sqlite, "SELECT j ->> '$.a', a$b FROM t", 0, Verb::Read),
        (Sqlite, "DELETE FROM t WHERE a = ?", 1, Verb::Modify),
        (Sqlite, "CREATE VIEW v AS SELECT temp.a FROM temp", 0, Verb::Define),
        (Sqlite, "SELECT '; DROP TABLE t'", 0, Verb::Read),
        (Sqlite, "SELECT '", 0, Verb::Read),
    ] {
        let result = checked(sql, dialect, parameters);
        if parameters == usize::MAX {
            assert!(matches!(result, Err(DatabaseError::Syntax(_))), "{sql}");
        } else {
            assert_eq!(result, Ok(verb), "{sql}");
        }
    }
}

#[test]
fn statements_that_reach_beyond_themselves_are_refused() {
    use Dialect::{MySql, Sqlite};
    for (dialect, sql) in [
        (MySql, "BEGIN"),
        (MySql, "start transaction"),
        (MySql, "COMMIT"),
        (MySql, "SET time_zone = '+01:00'"),
        (MySql, "USE other"),
        (MySql, "LOCK TABLES t WRITE"),
        (MySql, "/* x */ PREPARE s FROM 'SELECT 1'"),
        (MySql, "XA START 'x'"),
        (MySql, "LOAD DATA INFILE 'x' INTO TABLE t"),
        (MySql, "HANDLER t OPEN"),
        (MySql, "CREATE TEMPORARY TABLE t (a INT)"),
        (MySql, "CREATE OR REPLACE TEMPORARY TABLE t (a INT)"),
        (MySql, "SELECT 1 /*! + 1 */"),
        (MySql, "SELECT 1 /*M! + 1 */"),
        (MySql, "/*!50000 SET a = 1 */"),
        (MySql, "SELECT @a := 1"),
        (MySql, "SELECT@a:=1"),
        (MySql, "SELECT 'a'@b"),
        (MySql, "SELECT `GET_LOCK`('a', 0)"),
        (MySql, "SELECT get_lock /* x */ ('a', 0)"),
        (MySql, "SELECT LOAD_FILE('/etc/passwd')"),
        (MySql, "CREATE OR REPLACE\x0bTEMPORARY TABLE t (a INT)"),
        (MySql, "SELECT 1 INTO\x0bOUTFILE '/tmp/x'"),
        (MySql, "SELECT 1 INTO @a"),
        (MySql, "SELECT get_lock('a', 1)"),
        (MySql, "SELECT 1 INTO OUTFILE '/tmp/x'"),
        (Sqlite, "PRAGMA query_only = OFF"),
        (Sqlite, "ATTACH 'x' AS x"),
        (Sqlite, "DETACH x"),
        (Sqlite, "VACUUM"),
        (Sqlite, "SAVEPOINT x"),
        (Sqlite, "CREATE TEMP TABLE t (a INT)"),
        (Sqlite, "CREATE TABLE temp.t (a INT)"),
        (Sqlite, "CREATE TABLE IF NOT EXISTS \"temp\".t (a INT)"),
    ] {
        let result = checked(sql, dialect, 0);
        assert!(matches!(result, Err(DatabaseError::Denied(_))), "{sql}: {result:?}");
    }
    let begin = checked("BEGIN", MySql, 0);
    assert!(matches!(&begin, Err(DatabaseError::Denied(text)) if text.contains("database.begin")));
}

#[test]
fn statements_that_are_wrong_are_refused() {
    use Dialect::{MySql, Sqlite};
    for (dialect, sql, parameters) in [
        (MySql, "", 0),
        (MySql, "-- nothing", 0),
        (MySql, "? SELECT", 1),
        (MySql, "SELECT 1; SELECT 2", 0),
        (MySql, "SELECT ';'; DROP TABLE t", 0),
        (MySql, "SELECT ?, ?", 1),
        (MySql, "SELECT '?'", 1),
        (MySql, "SELECT 1\0", 0),
        (Sqlite, "SELECT ?1", 1),
        (Sqlite, "SELECT :a", 1),
        (Sqlite, "SELECT @a", 1),
        (Sqlite, "SELECT $0", 1),
        (Sqlite, "SELECT 'a\\'; DROP TABLE t", 0),
    ] {
        let result = checked(sql, dialect, parameters);
        assert!(matches!(result, Err(DatabaseError::Syntax(_))), "{sql}: {result:?}");
    }
}

#[test]
fn a_context_can_forbid_more() {
    let mut context = Context { dialect: Dialect::MySql, access: Access::ReadOnly, in_transaction: false };
    for sql in ["CALL p()", "DO f()"] {
        assert!(matches!(check(sql, 0, context), Err(DatabaseError::Denied(_))));
    }
    context.in_transaction = true;
    let sql = "ALTER TABLE t ADD COLUMN a INT";
    assert!(matches!(check(sql, 0, context), Err(DatabaseError::Denied(_))));
    context.dialect = Dialect::Sqlite;
    assert_eq!(check(sql, 0, context), Ok(Verb::Define));
}
