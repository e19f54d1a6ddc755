//! Steps with details in the lines below: `connect` with header fields, `sql` with the rows that it returns.

use super::super::model::{Action, Cell, ConnectStep, Outcome, Table, TextPattern};
use super::super::names::{KEYWORDS, is_blank, is_name, one_of};
use super::super::placeholder::Kind;
use super::cursor::{Cursor, Lines};
use super::message::{argument, pattern, regex_between};
use super::step::digits;
use super::{Block, ParseError, Scope};
use crate::backend::Connect;

/// Ids are exact in JavaScript.
const IDS: u64 = 1 << 53;

/// The header fields that make the handshake, and why a transcript cannot have them.
const OF_HANDSHAKE: [(&str, &str); 9] = [
    ("connection", "the handshake itself has it"),
    ("upgrade", "the handshake itself has it"),
    ("sec-websocket-key", "the handshake itself has it"),
    ("sec-websocket-version", "the handshake itself has it"),
    ("sec-websocket-extensions", "clients of transcripts know no extensions"),
    ("sec-websocket-accept", "only answers have it"),
    ("host", "it depends on where the transcript is played"),
    ("content-length", "a handshake has no body"),
    ("transfer-encoding", "a handshake has no body"),
];

/// After `connect`.
pub(super) fn connect(block: &Block<'_>, mut cursor: Cursor<'_>, scope: &mut Scope) -> Result<Action, ParseError> {
    let client = client(&mut cursor)?;
    let target = target(&mut cursor, scope)?;
    let outcome = outcome(cursor)?;
    let mut connect = ConnectStep { client, request: Connect::to(target), outcome };
    for line in &block.more {
        detail(*line, &mut connect, scope)?;
    }
    if matches!(connect.outcome, Outcome::Accepted(_)) {
        scope.connect(&connect.client);
    }
    Ok(Action::Connect(connect))
}

fn client(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    cursor.skip_blanks();
    let here = *cursor;
    let name = cursor.expect_name("the name of a client after `connect`")?;
    if KEYWORDS.contains(&name) {
        let words = one_of(KEYWORDS);
        return Err(here.error(format!("`{name}` begins steps of its own, so no client can be called {words}")));
    }
    Ok(name.to_owned())
}

fn target(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<String, ParseError> {
    cursor.skip_blanks();
    if !cursor.rest().starts_with('/') {
        return Err(cursor.error("expected the path that is asked for, and its query: `/chat?room=lobby`"));
    }
    let (here, mut chars) = (*cursor, *cursor);
    let target = cursor.word();
    chars.take_while(|char| char.is_ascii_graphic() && char != '#');
    if let Some(char) = chars.rest().chars().next().filter(|_| chars.rest().len() > cursor.rest().len()) {
        return Err(chars.error(format!(
            "`{}` cannot stand in the path of a request; write `{}`",
            char.escape_debug(),
            percent_encoded(char)
        )));
    }
    scope.check_rest(here.until(target.len()))?;
    Ok(target.to_owned())
}

/// As it can stand in a path or a query.
fn percent_encoded(char: char) -> String {
    let mut bytes = [0; 4];
    char.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn outcome(mut cursor: Cursor<'_>) -> Result<Outcome, ParseError> {
    cursor.skip_blanks();
    if cursor.is_done() {
        return Ok(Outcome::Accepted(Vec::new()));
    }
    let here = cursor;
    if cursor.word() != "refused" {
        here.expect_no_comment()?;
        return Err(here.error("expected `refused STATUS`, or the end of the line if the host is to accept the client"));
    }
    cursor.skip_blanks();
    let here = cursor;
    let status = digits(cursor.word()).and_then(|status| u16::try_from(status).ok());
    let status = status
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| here.error("expected a status of HTTP from 200 to 599 after `refused`, such as `403`"))?;
    cursor.skip_blanks();
    let body = if cursor.is_done() { None } else { Some(pattern(cursor)?) };
    Ok(Outcome::Refused { status, body })
}

/// An indented line.
fn detail(mut line: Cursor<'_>, connect: &mut ConnectStep, scope: &Scope) -> Result<(), ParseError> {
    line.skip_blanks();
    let here = line;
    if line.eat("@") {
        return id(here, line, connect);
    }
    if line.eat("<") {
        return answer(here, line, connect);
    }
    let (name, value) = field(line)?;
    if let Some((name, reason)) = OF_HANDSHAKE.iter().find(|(refused, _)| *refused == name) {
        return Err(here.error(format!("a transcript cannot send `{name}`: {reason}; remove the line")));
    }
    if let Some(at) = value.rest().find(|char: char| char.is_control() && char != '\t') {
        return Err(value.after(at).error("a control character cannot stand in a header field"));
    }
    scope.check_rest(value)?;
    connect.request.headers.push((name, value.rest().to_owned()));
    Ok(())
}

/// `@id: N`
fn id(here: Cursor<'_>, mut line: Cursor<'_>, connect: &mut ConnectStep) -> Result<(), ParseError> {
    let known = line.eat("id");
    line.skip_blanks();
    if !known || !line.eat(":") {
        return Err(here.error("expected `@id: N`; a header field begins with a letter"));
    }
    if connect.request.id.is_some() {
        return Err(here.error("a second `@id`; a connection has one"));
    }
    line.skip_blanks();
    line.expect_no_comment()?;
    let id = digits(line.rest()).filter(|id| (1..IDS).contains(id));
    let id = id.ok_or_else(|| line.error(format!("expected an id from 1 to {} after `@id:`", IDS - 1)))?;
    connect.request.id = Some(id);
    Ok(())
}

/// `< NAME: PATTERN`
fn answer(here: Cursor<'_>, mut line: Cursor<'_>, connect: &mut ConnectStep) -> Result<(), ParseError> {
    let Outcome::Accepted(fields) = &mut connect.outcome else {
        return Err(here.error("header fields are expected only of a client that is accepted; remove the line"));
    };
    line.skip_blanks();
    let (name, value) = field(line)?;
    if value.is_done() {
        return Err(value.error(format!("expected what `{name}` is to be; for an empty value write `text`")));
    }
    let value: TextPattern = pattern(value)?;
    fields.push((name, value));
    Ok(())
}

/// `NAME: …`; the name in lower case, because HTTP does not distinguish.
fn field(mut line: Cursor<'_>) -> Result<(String, Cursor<'_>), ParseError> {
    let here = line;
    let name = line.take_while(in_token);
    if name.is_empty() {
        return Err(here.error("expected the name of a header field, `@id: N` or `< NAME: VALUE`"));
    }
    if !line.eat(":") {
        return Err(line.error(format!("expected `: VALUE` after the header field `{name}`")));
    }
    line.skip_blanks();
    Ok((name.to_ascii_lowercase(), line))
}

/// A token of RFC 9110.
fn in_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}

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
