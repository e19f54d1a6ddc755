//! `sql` with the rows that it returns.

use super::super::model::{Action, Cell, Table};
use super::super::names::{is_blank, is_name};
use super::super::placeholder::Kind;
use super::cursor::{Cursor, Lines};
use super::message::{argument, regex_between};
use super::{Block, ParseError, Scope};

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
    scope.check_text(&statement).map_err(|(byte, message)| lines.error_at(byte, message))?;
    let expected = if rows.is_empty() { None } else { Some(table(rows, scope)?) };
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

/// Lines that begin with `|`; there is one at least.
fn table(lines: &[Cursor<'_>], scope: &Scope) -> Result<Table, ParseError> {
    let mut lines = lines.iter();
    let mut table = Table { columns: Vec::new(), rows: Vec::new() };
    for cell in lines.next().map(|line| cells(*line)).transpose()?.unwrap_or_default() {
        table.columns.push(text(cell)?);
    }
    for (index, line) in lines.enumerate() {
        let cells = cells(*line)?;
        if index == 0 && cells.iter().all(|cell| is_rule(cell.rest())) {
            continue;
        }
        table.rows.push(row(*line, cells, table.columns.len(), scope)?);
    }
    Ok(table)
}

/// `---`, between the columns and the rows.
fn is_rule(cell: &str) -> bool {
    cell.len() >= 3 && cell.bytes().all(|byte| byte == b'-')
}

fn row(mut line: Cursor<'_>, cells: Vec<Cursor<'_>>, columns: usize, scope: &Scope) -> Result<Vec<Cell>, ParseError> {
    if cells.len() != columns {
        if let Some(last) = cells.last().filter(|last| last.rest().starts_with('#')) {
            last.expect_no_comment()?;
        }
        line.skip_blanks();
        let cells = cells.len();
        return Err(
            line.error(format!("the row has {cells} cells, the table {columns} columns; `\\|` is a `|` in a cell"))
        );
    }
    cells.into_iter().map(|each| cell(each, scope)).collect()
}

/// The cells of a line, trimmed, with their escapes.
fn cells(mut line: Cursor<'_>) -> Result<Vec<Cursor<'_>>, ParseError> {
    line.skip_blanks();
    if !line.eat("|") {
        return Err(line.error("expected a row that begins with `|`: the table is the end of the step"));
    }
    if line.is_done() {
        return Err(line.error("expected a cell after `|`"));
    }
    let mut cells = Vec::new();
    // The `|` at the end of a line ends the last cell and begins no other.
    while !line.is_done() {
        let end = cell_end(line.rest());
        cells.push(trimmed(line, end));
        line = line.after(end);
        line.eat("|");
    }
    Ok(cells)
}

/// The byte of the next `|` that no backslash precedes.
fn cell_end(rest: &str) -> usize {
    let mut escaped = false;
    let ends = |char: char| {
        let ends = char == '|' && !escaped;
        escaped = char == '\\' && !escaped;
        ends
    };
    rest.find(ends).unwrap_or(rest.len())
}

fn trimmed(line: Cursor<'_>, end: usize) -> Cursor<'_> {
    let mut cell = line.until(end);
    cell.skip_blanks();
    cell.until(cell.rest().trim_end_matches(is_blank).len())
}

fn cell(cell: Cursor<'_>, scope: &Scope) -> Result<Cell, ParseError> {
    match cell.rest() {
        "${any}" => Ok(Cell::Any),
        rest if rest.starts_with('/') => {
            let source = regex_source(rest);
            regex_between(&source).map(Cell::Regex).map_err(|_| regex_error(cell, &source))
        }
        rest if rest.starts_with("${") => captured(cell, scope).map(Cell::Captured),
        _ => text(cell).map(Cell::Exact),
    }
}

/// `${NAME}`
fn captured(cell: Cursor<'_>, scope: &Scope) -> Result<String, ParseError> {
    let advice = "for a cell that begins with `${` write `\\${`";
    let name = cell.rest().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| is_name(name));
    let is_kind = name.is_some_and(|name| Kind::names().any(|kind| kind == name));
    let name = name.filter(|_| !is_kind).ok_or_else(|| {
        cell.error(format!("the placeholders in a table are `${{any}}` and a captured `${{NAME}}`; {advice}"))
    })?;
    scope.check_captured(name, advice, &["any"]).map_err(|message| cell.error(message))?;
    Ok(name.to_owned())
}

fn regex_error(cell: Cursor<'_>, source: &str) -> ParseError {
    match regex_between(source) {
        Err(message) if source.len() > 1 && source.ends_with('/') => cell.error(message),
        _ => cell.error("a regular expression ends with `/`; for a cell that begins with `/` write `\\/`"),
    }
}

/// A regular expression keeps its own escapes; `\|` is the `|` that would end the cell otherwise.
fn regex_source(cell: &str) -> String {
    let mut source = String::new();
    let mut chars = cell.chars();
    while let Some(char) = chars.next() {
        match (char, chars.clone().next()) {
            ('\\', Some('|')) => {}
            ('\\', Some(escaped)) => {
                source.push(char);
                source.push(escaped);
                chars.next();
            }
            _ => source.push(char),
        }
    }
    source
}

/// A cell that is written as it is, but for escapes.
fn text(mut cell: Cursor<'_>) -> Result<String, ParseError> {
    if cell.is_done() {
        return Err(
            cell.error("a cell is blank; write `\"\"` for the empty text, `NULL` for no value, `${any}` for any")
        );
    }
    if cell.rest() == "\"\"" {
        return Ok(String::new());
    }
    let mut text = String::new();
    while !cell.is_done() {
        text.push_str(cell.take_while(|char| char != '\\'));
        let here = cell;
        if cell.eat("\\") {
            text.push(escaped(cell.rest()).ok_or_else(|| {
                here.error("expected `\\|`, `\\\\`, `\\n`, `\\r`, `\\t`, `\\s` (a blank), `\\/`, `\\$` or `\\\"`")
            })?);
            cell = cell.after(1);
        }
    }
    Ok(text)
}

/// The character that a backslash before this stands for.
fn escaped(rest: &str) -> Option<char> {
    match rest.chars().next()? {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        's' => Some(' '),
        char @ ('|' | '\\' | '/' | '$' | '"') => Some(char),
        _ => None,
    }
}
