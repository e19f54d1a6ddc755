//! Functions of SQLite that take quadratic time for long values, written again so that they take linear time: nothing
//! can interrupt a function. They return what SQLite's own return, see <https://sqlite.org/lang_corefunc.html>.

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, ToSql, ffi};
use std::borrow::Cow;
use std::collections::HashSet;

/// Replace them in a session whose values have at most so many bytes.
pub(super) fn install(connection: &Connection, longest: usize) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, instr)?;
    connection.create_scalar_function("replace", 3, flags, move |context| replace(context, longest))?;
    for (name, ends) in [("trim", Ends::Both), ("ltrim", Ends::Left), ("rtrim", Ends::Right)] {
        connection.create_scalar_function(name, 2, flags, move |context| trim(context, ends))?;
    }
    connection.create_scalar_function("unhex", 2, flags, |_| -> rusqlite::Result<Value> {
        Err(Error::UserFunctionError("`unhex` takes one argument here".into()))
    })
}

/// Where characters are removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Both,
    Left,
    Right,
}

fn instr(context: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let (hay, needle) = (context.get_raw(0), context.get_raw(1));
    let (Some(hay_bytes), Some(needle_bytes)) = (bytes(hay), bytes(needle)) else { return Ok(None) };
    let counts_bytes = matches!((hay, needle), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let found = memmem::find(&hay_bytes, &needle_bytes).map(|at| match (counts_bytes, hay_bytes.get(..at)) {
        (false, Some(before)) => before.iter().filter(|byte| !is_inside(**byte)).count() + 1,
        _ => at + 1,
    });
    Ok(Some(i64::try_from(found.unwrap_or(0)).unwrap_or(i64::MAX)))
}

fn replace(context: &Context<'_>, longest: usize) -> rusqlite::Result<Text> {
    let [text, pattern, by] = [0, 1, 2].map(|place| bytes(context.get_raw(place)));
    let (Some(text), Some(pattern)) = (text, pattern) else { return Ok(Text(None)) };
    if pattern.is_empty() {
        return Ok(Text(Some(text.into_owned())));
    }
    let Some(by) = by else { return Ok(Text(None)) };
    let mut replaced = Vec::new();
    let mut rest = 0;
    for at in memmem::find_iter(&text, &pattern[..]) {
        replaced.extend_from_slice(text.get(rest..at).unwrap_or_default());
        replaced.extend_from_slice(&by);
        rest = at + pattern.len();
        if replaced.len() > longest {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
    }
    replaced.extend_from_slice(text.get(rest..).unwrap_or_default());
    Ok(Text(Some(replaced)))
}

fn trim(context: &Context<'_>, ends: Ends) -> rusqlite::Result<Text> {
    let (Some(text), Some(set)) = (bytes(context.get_raw(0)), bytes(context.get_raw(1))) else {
        return Ok(Text(None));
    };
    let set: HashSet<&[u8]> = characters(&set).collect();
    let mut left = &text[..];
    if ends != Ends::Right {
        let removed = characters(left).take_while(|character| set.contains(character)).map(<[u8]>::len).sum();
        left = left.get(removed..).unwrap_or_default();
    }
    while ends != Ends::Left && !left.is_empty() {
        let begin = left.iter().rposition(|byte| !is_inside(*byte)).unwrap_or(0);
        match left.split_at_checked(begin) {
            Some((rest, last)) if set.contains(last) => left = rest,
            _ => break,
        }
    }
    Ok(Text(Some(left.to_vec())))
}

/// Whether a byte belongs to a character that began before.
fn is_inside(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The characters of a text, which need not be UTF-8.
fn characters(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.chunk_by(|_, next| is_inside(*next))
}

/// A value as SQLite makes a text of it. None for NULL.
fn bytes(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes().into()),
        ValueRef::Real(number) => Some(real(number).into_bytes().into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.into()),
    }
}

/// A text, which need not be UTF-8, or NULL.
struct Text(Option<Vec<u8>>);

impl ToSql for Text {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0.as_deref().map_or(ValueRef::Null, ValueRef::Text)))
    }
}

/// As `%!.15g` of SQLite: 15 significant digits, always with a point.
fn real(number: f64) -> String {
    if number == 0.0 {
        return "0.0".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:.14e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let with_point = |text: &str| match text.split_once('.') {
        Some((whole, part)) if part.trim_end_matches('0').is_empty() => format!("{whole}.0"),
        Some((whole, part)) => format!("{whole}.{}", part.trim_end_matches('0')),
        None => format!("{text}.0"),
    };
    if !(-4..15).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", with_point(digits), exponent.abs());
    }
    let decimals = usize::try_from(14 - exponent).unwrap_or(0);
    with_point(&format!("{number:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same expression in a session with the functions and in one with those of SQLite.
    fn results(expression: &str) -> (Value, Value) {
        let value = |connection: &Connection| {
            connection.query_row(&format!("SELECT CAST({expression} AS BLOB)"), [], |row| row.get(0)).unwrap()
        };
        let (ours, theirs) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        install(&ours, 1 << 20).unwrap();
        (value(&ours), value(&theirs))
    }

    #[test]
    fn they_return_what_those_of_sqlite_return() {
        let values = [
            "NULL",
            "''",
            "'a'",
            "'abcabc'",
            "'bc'",
            "'  ab  '",
            "' '",
            "'äöü€ä'",
            "'ö'",
            "'ä€'",
            "x''",
            "x'616263'",
            "x'62'",
            "x'ff61'",
            "0",
            "-17",
            "1.5",
            "-0.0",
            "1e20",
            "1.0e-7",
            "123456789012345678",
            "0.1",
            "3.0e14",
            "1e15",
            "9e999",
            "-9e999",
        ];
        for first in values {
            for second in values {
                for function in ["instr", "trim", "ltrim", "rtrim"] {
                    let expression = format!("{function}({first}, {second})");
                    let (ours, theirs) = results(&expression);
                    assert_eq!(ours, theirs, "{expression}");
                }
                for third in ["NULL", "'x'", "'äa'", "''", "2.5"] {
                    let expression = format!("replace({first}, {second}, {third})");
                    let (ours, theirs) = results(&expression);
                    assert_eq!(ours, theirs, "{expression}");
                }
            }
        }
    }

    #[test]
    fn a_result_is_bounded_while_it_is_made() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection, 1000).unwrap();
        let long = "SELECT replace(hex(zeroblob(400)), '0', 'abcdef')";
        let error = connection.query_row(long, [], |row| row.get::<_, String>(0)).unwrap_err();
        assert!(error.to_string().contains("too big"), "{error}");
    }
}
