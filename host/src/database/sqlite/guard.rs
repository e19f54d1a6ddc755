//! What a statement of a module may do in a session: SQLite asks when it prepares a statement, so no spelling of it gets
//! around this. See <https://sqlite.org/security.html> and <https://sqlite.org/c3ref/set_authorizer.html>.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use std::cell::{Cell, RefCell};

/// SQLite needs longer than linear time for a pattern. One of this length takes a tenth of a second on the longest text
/// that is allowed by default.
const LIKE_PATTERN: i32 = 256;

/// SQLite checks its time only where a program jumps, so a long straight program runs to its end. These bound how often it
/// calls functions on the way. They are still larger than what people write: to insert a value or to compare with one takes
/// two or three instructions.
const COLUMNS: i32 = 500;
const INSTRUCTIONS: i32 = 25_600;
const ARGUMENTS: i32 = 100;

/// Bytes of a statement's text: SQLite reads nested queries by recursion, for which [`super::session::STACK`] suffices, and
/// in quadratic time.
const TEXT: i32 = 256 << 10;

/// Triggers that run each other. SQLite's own limit of 1,000 needs much of the thread's stack.
const TRIGGER_DEPTH: i32 = 100;

/// Values shorter than this are always allowed: schemas are values too.
const SHORTEST_LIMIT: usize = 64 << 10;

/// Pragmas that describe tables, which SQLite also offers as functions, and those that its own virtual tables ask for.
const PRAGMAS: [&str; 9] = [
    "data_version",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "page_size",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Kinds of virtual tables that only use the database itself.
const VIRTUAL_TABLES: [&str; 6] = ["fts3", "fts4", "fts5", "geopoly", "rtree", "rtree_i32"];

/// Virtual tables that exist without being made, and show the file or other statements of the session.
const HIDDEN_TABLES: [&str; 4] = ["dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode"];

/// The functions that statements may use. Left out is what loads code (`load_extension`), what changes how SQLite works
/// (`fts3_tokenizer`), what needs quadratic time in one step, which nothing can interrupt (`json_patch`, `snippet`), and
/// what goes one level deeper on the stack for each step of a path (`json_set`, `json_insert`). `functions` replaces others
/// that need quadratic time.
const FUNCTIONS: &[&str] = &[
    // Of the core.
    "abs",
    "changes",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "format",
    "glob",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "last_insert_rowid",
    "length",
    "like",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "printf",
    "quote",
    "random",
    "randomblob",
    "replace",
    "round",
    "rtrim",
    "sign",
    "soundex",
    "sqlite_source_id",
    "sqlite_version",
    "substr",
    "substring",
    "total_changes",
    "trim",
    "typeof",
    "unhex",
    "unicode",
    "unistr",
    "unistr_quote",
    "unlikely",
    "upper",
    "zeroblob",
    // Dates.
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "julianday",
    "strftime",
    "time",
    "timediff",
    "unixepoch",
    // Aggregates and windows.
    "avg",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "group_concat",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
    "string_agg",
    "sum",
    "total",
    // Mathematics.
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "ceiling",
    "cos",
    "cosh",
    "degrees",
    "exp",
    "floor",
    "ln",
    "log",
    "log10",
    "log2",
    "mod",
    "pi",
    "pow",
    "power",
    "radians",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // JSON.
    "->",
    "->>",
    "json",
    "json_array",
    "json_array_length",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_object",
    "json_pretty",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_type",
    "json_valid",
    "jsonb",
    "jsonb_array",
    "jsonb_extract",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_object",
    "jsonb_remove",
    "jsonb_replace",
    // Full text and space.
    "bm25",
    "fts5",
    "fts5_source_id",
    "highlight",
    "match",
    "matchinfo",
    "offsets",
    "optimize",
    "regexp",
    "rtreecheck",
    "rtreedepth",
    "rtreenode",
    // With which SQLite itself changes tables. Statements cannot use them.
    "sqlite_add_constraint",
    "sqlite_drop_column",
    "sqlite_drop_constraint",
    "sqlite_fail",
    "sqlite_find_constraint",
    "sqlite_rename_column",
    "sqlite_rename_quotefix",
    "sqlite_rename_table",
    "sqlite_rename_test",
];

thread_local! {
    /// The thread of a session runs a statement of the host itself.
    static OWN: Cell<bool> = const { Cell::new(false) };
    /// Why the last statement of this thread was not allowed.
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Guard a session. Values and rows have at most so many bytes.
pub(super) fn install(connection: &Connection, longest: usize) -> rusqlite::Result<()> {
    let longest = i32::try_from(longest.max(SHORTEST_LIMIT)).unwrap_or(i32::MAX);
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, longest),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, TEXT),
        (Limit::SQLITE_LIMIT_COLUMN, COLUMNS),
        (Limit::SQLITE_LIMIT_VDBE_OP, INSTRUCTIONS),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, ARGUMENTS),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIKE_PATTERN),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, TRIGGER_DEPTH),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    hide_functions(connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.authorizer(Some(|context: AuthContext<'_>| match reason_against(&context) {
        Some(reason) if !OWN.get() => {
            REASON.set(Some(reason));
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }))
}

/// Replace the functions that statements may not use. SQLite does not ask about constants in the rows of an `INSERT`. What
/// is not deterministic is not constant, so SQLite asks about these.
fn hide_functions(connection: &Connection) -> rusqlite::Result<()> {
    let mut list = connection.prepare("SELECT DISTINCT name, narg FROM pragma_function_list WHERE type = 's'")?;
    let all = list.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i32>(1)?)))?;
    let all: Vec<(String, i32)> = all.collect::<rusqlite::Result<_>>()?;
    for (name, arguments) in all.iter().filter(|(name, _)| !is_one_of(FUNCTIONS, name)) {
        connection.create_scalar_function(name.as_str(), *arguments, FunctionFlags::SQLITE_UTF8, |_| {
            Err::<bool, _>(rusqlite::Error::UserFunctionError("no module may use this function".into()))
        })?;
    }
    Ok(())
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Run statements of the host itself.
pub(super) fn own<T>(work: impl FnOnce() -> T) -> T {
    OWN.set(true);
    let result = work();
    OWN.set(false);
    result
}

/// Why the last statement of this thread was not allowed, if it was not.
pub(super) fn take_reason() -> Option<String> {
    REASON.take()
}

fn reason_against(context: &AuthContext<'_>) -> Option<String> {
    let is_temporary = context.database_name == Some("temp");
    match context.action {
        AuthAction::Function { function_name } if is_one_of(FUNCTIONS, function_name) => None,
        AuthAction::Function { function_name } => Some(format!("no module may use the function `{function_name}`")),
        AuthAction::Pragma { pragma_name, .. } if is_one_of(&PRAGMAS, pragma_name) => None,
        AuthAction::Pragma { pragma_name, .. } => Some(format!("no module may use the pragma `{pragma_name}`")),
        AuthAction::CreateVtable { module_name, .. } if !is_one_of(&VIRTUAL_TABLES, module_name) => {
            Some(format!("no module may make a virtual table of the kind `{module_name}`"))
        }
        AuthAction::Read { table_name, .. } if is_one_of(&HIDDEN_TABLES, table_name) => {
            Some(format!("no module may read `{table_name}`"))
        }
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => None,
        // SQLite itself does this when a column gets another name. Statements cannot change this table.
        AuthAction::Update { table_name: "sqlite_temp_master" | "sqlite_temp_schema", .. } => None,
        AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateVtable { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropVtable { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
            if !is_temporary =>
        {
            None
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Some("no module may attach another database".to_owned())
        }
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            Some("transactions are begun with `database.begin` and ended with `commit` or `rollback`".to_owned())
        }
        AuthAction::Analyze { .. } => Some("no module may run `ANALYZE`, which affects all sessions".to_owned()),
        // `CREATE TEMP …`, and what is done with it.
        _ => Some("what is temporary would stay in the pooled session".to_owned()),
    }
}
