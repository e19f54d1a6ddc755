//! Steps by their first word, with all that stands on one line.

use std::time::Duration;

use super::super::model::{Action, Fault, Transcript};
use super::super::names::{CALLS, KEYWORDS, did_you_mean, nearest, one_of};
use super::cursor::{Cursor, Lines};
use super::{Block, ParseError, Scope, Speech, detail, header, message, table};
use crate::backend::{CallFault, StatementFault};

/// What may stand after a client's name.
const VERBS: [&str; 8] = [">", "<", "nothing", "skips", "disconnects", "vanishes", "returns", "closed"];

/// The longest time of `advance`: more than a year is a typing error.
const LONGEST_ADVANCE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What can be made to fail.
const FAULTS: [&str; 4] = ["sql", "call", "instances", "outbox"];

/// A reason that is longer does not fit into a close frame.
const LONGEST_REASON: usize = 123;

/// Read a step.
pub(super) fn action(block: &Block<'_>, scope: &mut Scope) -> Result<Action, ParseError> {
    let mut cursor = block.head;
    match cursor.name() {
        Some("connect") => detail::connect(block, cursor, scope),
        Some("publish") => header::publish(block, cursor, scope),
        Some("sql") => table::sql(block, cursor, scope),
        Some(word @ "advance") => one_line(block, word).and_then(|()| advance(cursor)),
        Some(word @ "swap") => one_line(block, word).and_then(|()| swap(cursor)),
        Some(word @ "fail") => one_line(block, word).and_then(|()| fail(cursor, scope)),
        Some(word @ "failed") => one_line(block, word).and_then(|()| failed(cursor)),
        Some(word @ "set") => one_line(block, word).and_then(|()| set(cursor)),
        Some(client) => of_client(block, client, cursor, scope),
        None => {
            let words = one_of(KEYWORDS);
            Err(block.head.error(format!("a step begins with the name of a client, or with {words}")))
        }
    }
}

fn one_line(block: &Block<'_>, word: &str) -> Result<(), ParseError> {
    block.expect_one_line(&format!("`{word}`"))
}

/// After a client's name.
fn of_client(block: &Block<'_>, client: &str, mut cursor: Cursor<'_>, scope: &mut Scope) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    let here = cursor;
    let verb = ["<", ">"].into_iter().find(|sign| cursor.eat(sign)).unwrap_or_else(|| cursor.word());
    if !VERBS.contains(&verb) {
        return Err(no_verb(block, client, verb, here, scope));
    }
    scope.expect_client(client, block.head)?;
    let name = client.to_owned();
    if let Some(cursor) = header_of(client, verb, cursor, scope) {
        return match verb {
            ">" => header::say(block, name, cursor, scope),
            _ => header::hear(block, name, cursor, scope),
        };
    }
    match verb {
        "returns" => detail::returns(block, name, cursor, scope),
        ">" => Ok(Action::Send { client: name, payload: message::payload(&Lines::of(cursor, &block.more), scope)? }),
        "<" => {
            Ok(Action::Expect { client: name, expected: message::expected(&Lines::of(cursor, &block.more), scope)? })
        }
        _ => {
            block.expect_one_line(&format!("`{client} {verb}`"))?;
            short(name, verb, cursor)
        }
    }
}

/// Behind the parenthesis that begins a header, if there is one.
fn header_of<'a>(client: &str, verb: &str, mut cursor: Cursor<'a>, scope: &Scope) -> Option<Cursor<'a>> {
    cursor.skip_blanks();
    let is_header = matches!(verb, "<" | ">") && scope.speech(client) == Speech::Protocol && cursor.eat("(");
    is_header.then_some(cursor)
}

/// The steps of a client that have one line.
fn short(client: String, verb: &str, mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    match verb {
        "disconnects" => return Ok(Action::Disconnect { client, close: disconnects(cursor)? }),
        "closed" => return closed(client, cursor),
        _ => cursor.expect_end(&format!("`{verb}`"))?,
    }
    Ok(match verb {
        "nothing" => Action::Nothing { client },
        "skips" => Action::Skip { client },
        _ => Action::Vanish { client },
    })
}

fn no_verb(block: &Block<'_>, client: &str, verb: &str, here: Cursor<'_>, scope: &Scope) -> ParseError {
    // `conect alice /chat` looks like a client's step.
    if let Some(keyword) = nearest(client, KEYWORDS).filter(|_| !scope.knows_client(client)) {
        return block.head.error(format!("`{client}` begins no step; did you mean `{keyword}`?"));
    }
    let near = did_you_mean(verb, VERBS);
    here.error(format!("expected {} after `{client}`{near}", one_of(VERBS)))
}

/// After `disconnects`.
fn disconnects(mut cursor: Cursor<'_>) -> Result<Option<(u16, String)>, ParseError> {
    cursor.skip_blanks();
    if cursor.is_done() {
        return Ok(None);
    }
    let here = cursor;
    let code = code(cursor.word()).filter(|code| matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999));
    let code = code.ok_or_else(|| {
        here.error("expected a code that a client may send: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999")
    })?;
    cursor.skip_blanks();
    let reason = message::exact(cursor)?;
    if reason.len() > LONGEST_REASON {
        let bytes = reason.len();
        return Err(cursor.error(format!("the reason has {bytes} bytes; a close frame has room for {LONGEST_REASON}")));
    }
    Ok(Some((code, reason)))
}

/// After `closed`.
fn closed(client: String, mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    let here = cursor;
    let code = code(cursor.word()).filter(|code| (1000..=4999).contains(code));
    let code = code.ok_or_else(|| {
        here.error("expected a close code from 1000 to 4999 (1005: without a code, 1006: without a close frame)")
    })?;
    cursor.skip_blanks();
    let reason = if cursor.is_done() { None } else { Some(message::pattern(cursor)?) };
    Ok(Action::Closed { client, code, reason })
}

fn code(word: &str) -> Option<u16> {
    digits(word).and_then(|code| u16::try_from(code).ok())
}

/// After `swap`.
fn swap(mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    let mut app = None;
    let mut ahead = cursor;
    let name = ahead.name();
    // `chat:v2.wasm` is a file; only white space, or the end, makes it an app.
    if ahead.eat(":") && (ahead.is_done() || ahead.rest().starts_with([' ', '\t'])) {
        app = name.map(str::to_owned);
    }
    if app.is_some() {
        cursor = ahead;
        cursor.skip_blanks();
    }
    if cursor.is_done() {
        return Err(cursor.error("expected the file of a component: `swap FILE`, or `swap APP: FILE`"));
    }
    Ok(Action::Swap { app, file: cursor.rest().to_owned() })
}

/// After `fail`.
fn fail(cursor: Cursor<'_>, scope: &Scope) -> Result<Action, ParseError> {
    let (fault, place) = fault(cursor)?;
    if let Fault::Outbox { client } = &fault {
        scope.expect_client(client, place)?;
    }
    Ok(Action::Fail(fault))
}

/// After `set`.
fn set(mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    let here = cursor;
    let key = key(&mut cursor).ok_or_else(|| {
        here.error(
            "expected a key of the config after `set`, such as `settings.greeting` or `topics.\"room:*\".history`",
        )
    })?;
    cursor.skip_blanks();
    if !cursor.eat("=") {
        return Err(cursor.error(format!("expected `= VALUE` after `set {key}`")));
    }
    cursor.skip_blanks();
    if cursor.is_done() {
        return Err(cursor.error(format!("expected a value as TOML after `set {key} =`, such as `5` or `\"text\"`")));
    }
    Ok(Action::Set { key: key.to_owned(), value: cursor.rest().to_owned() })
}

/// Words of a key between dots, each plain or in quotation marks, as TOML has them.
fn key<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let begin = *cursor;
    loop {
        let here = *cursor;
        if cursor.eat("\"") {
            cursor.take_while(|char| char != '"' && char != '\\');
            cursor.eat("\"").then_some(())?;
        } else {
            cursor.take_while(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'));
        }
        if *cursor == here {
            return None;
        }
        if !cursor.eat(".") {
            return begin.rest().get(..begin.rest().len() - cursor.rest().len());
        }
    }
}

/// After `failed`.
fn failed(mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    let call = call_name(&mut cursor)?;
    cursor.skip_blanks();
    if cursor.is_done() {
        return Ok(Action::Failed { call, error: None });
    }
    let here = cursor;
    if !cursor.eat(":") {
        here.expect_no_comment()?;
        return Err(
            here.error("expected `failed`, `failed CALL` or `failed CALL: ERROR`, such as `failed app-timer: /trap/`")
        );
    }
    cursor.skip_blanks();
    if cursor.is_done() {
        return Err(cursor.error("expected the error after `:`, as a text or as `/regex/`"));
    }
    Ok(Action::Failed { call, error: Some(message::pattern(cursor)?) })
}

/// The name of a call of a module, if there is one.
fn call_name(cursor: &mut Cursor<'_>) -> Result<Option<String>, ParseError> {
    let here = *cursor;
    match cursor.name() {
        Some(name) if !CALLS.contains(&name) => {
            let (calls, suggestion) = (one_of(CALLS), did_you_mean(name, CALLS));
            Err(here.error(format!("`{name}` is not a call of a module; expected {calls}{suggestion}")))
        }
        name => Ok(name.map(str::to_owned)),
    }
}

/// After `seed`.
pub(super) fn seed(block: &Block<'_>, mut cursor: Cursor<'_>, into: &mut Transcript) -> Result<(), ParseError> {
    expect_beginning(block, "seed", into.seed.is_some(), into)?;
    cursor.skip_blanks();
    let here = cursor;
    let word = cursor.word();
    let seed =
        digits(word).ok_or_else(|| here.error(format!("expected a number from 0 to {} after `seed`", u64::MAX)))?;
    cursor.expect_end("the seed")?;
    into.seed = Some(seed);
    Ok(())
}

/// After `clock`.
pub(super) fn clock(block: &Block<'_>, mut cursor: Cursor<'_>, into: &mut Transcript) -> Result<(), ParseError> {
    expect_beginning(block, "clock", into.clock.is_some(), into)?;
    cursor.skip_blanks();
    cursor.expect_no_comment()?;
    let time = humantime::parse_rfc3339(cursor.rest()).map_err(|error| {
        cursor.error(format!("expected a time such as `2026-01-31T12:00:00Z` after `clock`, from 1970 on: {error}"))
    })?;
    into.clock = Some(time);
    Ok(())
}

fn expect_beginning(block: &Block<'_>, word: &str, again: bool, so_far: &Transcript) -> Result<(), ParseError> {
    if again {
        return Err(block.head.error(format!("a second `{word}`; a transcript has at most one")));
    }
    if !so_far.steps.is_empty() {
        return Err(block
            .head
            .error(format!("`{word}` comes before the first step, because it holds for all of them")));
    }
    block.expect_one_line(&format!("`{word}`"))
}

/// After `advance`.
fn advance(mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    cursor.expect_no_comment()?;
    let time = humantime::parse_duration(cursor.rest()).map_err(|error| {
        cursor.error(format!("expected a time such as `30s`, `250ms` or `1h 30m` after `advance`: {error}"))
    })?;
    if time.is_zero() || time > LONGEST_ADVANCE {
        return Err(cursor.error("expected more than no time, and at most `365days`, after `advance`"));
    }
    Ok(Action::Advance(time))
}

/// A number without sign.
pub(super) fn digits(word: &str) -> Option<u64> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| plain)
}

/// After `fail`; with the place of the name.
fn fault(mut cursor: Cursor<'_>) -> Result<(Fault, Cursor<'_>), ParseError> {
    cursor.skip_blanks();
    let here = cursor;
    let target = cursor.take_while(|char| char.is_ascii_alphanumeric());
    cursor.skip_blanks();
    let place = cursor;
    let fault = match target {
        "sql" => statement(cursor)?,
        "call" => call(cursor)?,
        "instances" => instances(cursor)?,
        "outbox" => outbox(cursor)?,
        _ => {
            let near = did_you_mean(target, FAULTS);
            return Err(here.error(format!("expected {} after `fail`{near}", one_of(FAULTS))));
        }
    };
    Ok((fault, place))
}

fn statement(mut cursor: Cursor<'_>) -> Result<Fault, ParseError> {
    let database = cursor.expect_name("the name of a database after `fail sql`")?.to_owned();
    let error = kind(cursor, &format!("fail sql {database}"), &StatementFault::ALL)?;
    Ok(Fault::Statement { database, error })
}

fn call(mut cursor: Cursor<'_>) -> Result<Fault, ParseError> {
    let app = cursor.name().map(str::to_owned);
    let error = kind(cursor, "fail call", &CallFault::ALL)?;
    Ok(Fault::Call { app, error })
}

fn instances(mut cursor: Cursor<'_>) -> Result<Fault, ParseError> {
    let app = cursor.name().map(str::to_owned);
    cursor.expect_end("`fail instances [APP]`")?;
    Ok(Fault::Instances { app })
}

fn outbox(mut cursor: Cursor<'_>) -> Result<Fault, ParseError> {
    let client = cursor.expect_name("the name of a client after `fail outbox`")?.to_owned();
    cursor.expect_end("`fail outbox CLIENT`")?;
    Ok(Fault::Outbox { client })
}

/// `: KIND`
fn kind<T: Copy>(mut cursor: Cursor<'_>, step: &str, all: &[(T, &'static str)]) -> Result<T, ParseError> {
    cursor.skip_blanks();
    let names = || all.iter().map(|(_, name)| *name);
    if !cursor.eat(":") {
        return Err(cursor.error(format!("expected `: KIND` after `{step}`; the kinds are {}", one_of(names()))));
    }
    cursor.skip_blanks();
    cursor.expect_no_comment()?;
    let words = cursor.rest();
    all.iter().find(|(_, name)| *name == words).map(|(kind, _)| *kind).ok_or_else(|| {
        let near = did_you_mean(words, names());
        cursor.error(format!("expected {} after `{step}:`{near}", one_of(names())))
    })
}
