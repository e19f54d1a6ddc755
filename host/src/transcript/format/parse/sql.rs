//! `sql NAME: STATEMENT`, with the rows that it is to return, and `sql NAME: file PATH`.

use super::super::model::Action;
use super::super::names::is_blank;
use super::ParseError;
use super::block::Block;
use super::cursor::Cursor;
use super::lines::Lines;
use super::pattern::argument;
use super::references::check;
use super::scope::Scope;
use super::table;

/// After `sql`.
pub(super) fn sql(block: &Block<'_>, mut cursor: Cursor<'_>, scope: &Scope) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    let database = cursor.expect_name("the name of a database after `sql`")?.to_owned();
    if !cursor.eat(":") {
        return Err(cursor.error(format!("expected `: STATEMENT` after `sql {database}`")));
    }
    let of_table = block.more.iter().position(|line| begins_row(line)).unwrap_or(block.more.len());
    let (statement, rows) = block.more.split_at_checked(of_table).unwrap_or((&block.more, &[]));
    let lines = Lines::of(cursor, statement);
    let statement = lines.text();
    if statement.is_empty() {
        return Err(lines.error("a statement is missing"));
    }
    // No statement begins so.
    if let Some(path) = argument(&statement, "file") {
        let file = script(&lines, path, rows)?;
        return Ok(Action::Script { database, file });
    }
    check(&statement, scope).map_err(|(byte, message)| lines.error_at(byte, message))?;
    let expected = if rows.is_empty() { None } else { Some(table::table(rows, scope)?) };
    Ok(Action::Sql { database, statement, expected })
}

fn script(lines: &Lines<'_>, path: &str, rows: &[Cursor<'_>]) -> Result<String, ParseError> {
    if path.is_empty() {
        return Err(lines.error("expected a path after `file`"));
    }
    if path.contains('\n') {
        return Err(lines.error("the path of a file is one line"));
    }
    let Some(mut row) = rows.first().copied() else { return Ok(path.to_owned()) };
    row.skip_blanks();
    Err(row.error("a file of statements has no rows; a step of its own can ask for them"))
}

fn begins_row(line: &Cursor<'_>) -> bool {
    line.rest().trim_start_matches(is_blank).starts_with('|')
}
