//! `fail …`

use super::super::model::{CallFault, Fault, StatementFault};
use super::super::names::{did_you_mean, one_of};
use super::ParseError;
use super::cursor::Cursor;

const TARGETS: [&str; 4] = ["sql", "call", "instances", "outbox"];

/// After `fail`; with the place of the name.
pub(super) fn fault(mut cursor: Cursor<'_>) -> Result<(Fault, Cursor<'_>), ParseError> {
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
            let near = did_you_mean(target, TARGETS);
            return Err(here.error(format!("expected {} after `fail`{near}", one_of(TARGETS))));
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
