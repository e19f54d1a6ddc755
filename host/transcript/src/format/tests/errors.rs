//! All errors that a text can have, with their places and messages.

use std::path::Path;

use super::super::parse;
use super::{ALICE, error};

/// The text has this error.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(error(text), expected, "of:\n{text}");
}

/// The third line, after `alice` has connected, has this error.
#[track_caller]
fn check_third(line: &str, expected: &str) {
    check(&format!("{ALICE}{line}"), expected);
}

const VERBS: &str =
    "expected `>`, `<`, `nothing`, `skips`, `disconnects`, `vanishes`, `returns` or `closed` after `alice`";
const KEYWORDS: &str = "`connect`, `publish`, `sql`, `advance`, `swap`, `fail`, `failed`, `set`, `seed` or `clock`";
const KINDS: &str = "`any`, `string`, `number`, `boolean`, `array`, `object` or `/REGEX/`";
const NAME: &str = "a letter or `_`, then letters, digits, `_`, `.` or `-`";
const LITERAL: &str = "for a literal `${` write `$${`";

#[test]
fn errors_name_the_file_in_the_way_of_compilers() {
    let error = parse("\nseed x").expect_err("an error");
    assert_eq!((error.line, error.column), (2, 6));
    assert!(error.in_file(Path::new("a/b.transcript")).starts_with("a/b.transcript:2:6: expected a number"));
}

#[test]
fn lines_that_are_to_be_indented() {
    let indent = "indent it: it belongs to the step before";
    check("sql main: SELECT 1\n| a |", &format!("2:1: {indent}"));
    check("connect a /\n@id: 1", &format!("2:1: {indent}"));
    check("connect a /\n< x: y", &format!("2:1: {indent}"));
    check_third("alice < {\n  \"a\": 1\n}", &format!("5:1: {indent}"));
    check_third("alice < [\n  1\n]", &format!("5:1: {indent}"));
    check_third("alice < {\n\"a\": 1\n}", &format!("4:1: {indent}"));
    // There is no step before.
    check("| a |", &format!("1:1: a step begins with the name of a client, or with {KEYWORDS}"));
}

#[test]
fn comments_behind_something() {
    let advice = "a comment has a line of its own";
    check("seed 1 # why", &format!("1:8: {advice}"));
    check("clock 2026-01-31T12:00:00Z # why", &format!("1:28: {advice}"));
    check("advance 30s # why", &format!("1:13: {advice}"));
    check("fail call: trap # why", &format!("1:17: {advice}"));
    check("fail instances # why", &format!("1:16: {advice}"));
    check("connect a / # why", &format!("1:13: {advice}"));
    check("connect a /\n  @id: 1 # why", &format!("2:10: {advice}"));
    check_third("alice nothing # why", &format!("3:15: {advice}"));
    check_third("alice skips #why", &format!("3:13: {advice}"));
    check_third("alice < {\"a\": 1} # why", &format!("3:18: not JSON: trailing characters; {advice}"));
    check_third("alice > [1] # why", &format!("3:13: not JSON: trailing characters; {advice}"));
    check_third(
        "alice < text \"a\" # why",
        &format!("3:9: expected a JSON string after `text`, and nothing behind it: {advice}"),
    );
    check_third("alice < hex 00 # why", &format!("3:16: expected a hexadecimal digit, not `#`; {advice}"));
    check_third(
        "alice < /a/ # why",
        &format!("3:9: a regular expression ends with `/` at the end of its line; {advice}"),
    );
    let quoted = format!("{advice}; for a text that begins with `#` write `text \"#…\"`");
    check_third("alice closed 1000 # why", &format!("3:19: {quoted}"));
    check_third("alice disconnects 1000 # why", &format!("3:24: {quoted}"));
    check("connect a / refused 403 # why", &format!("1:25: {quoted}"));
    check("sql m: SELECT 1\n  | a |\n  | 1 | # why", &format!("3:9: {advice}"));
}

#[test]
fn lines() {
    check("é > a", &format!("1:1: a step begins with the name of a client, or with {KEYWORDS}"));
    check("\n  a", "2:1: an indented line belongs to the step before it, and there is none; remove the indentation");
    check(
        "# a\n  advance 1s",
        "2:1: an indented line belongs to the step before it, and there is none; remove the indentation",
    );
    let advice = "takes no further lines; a step of its own begins at the line's first column";
    check("seed 1\n  a", &format!("2:3: `seed` {advice}"));
    check("advance 1s\n\n \t a", &format!("3:4: `advance` {advice}"));
    check("swap a\n  b", &format!("2:3: `swap` {advice}"));
    check("failed app-timer\n  b", &format!("2:3: `failed` {advice}"));
    check("fail instances\n  b", &format!("2:3: `fail` {advice}"));
    check("set a = 1\n  b", &format!("2:3: `set` {advice}"));
    check_third("alice nothing\n  a", &format!("4:3: `alice nothing` {advice}"));
}

#[test]
fn seed_and_clock() {
    let number = "expected a number from 0 to 18446744073709551615 after `seed`";
    check("seed", &format!("1:5: {number}"));
    check("seed +1", &format!("1:6: {number}"));
    check("seed 18446744073709551616", &format!("1:6: {number}"));
    check("seed 1 2", "1:8: expected the end of the line after the seed, not `2`");
    check("seed 1\nseed 1", "2:1: a second `seed`; a transcript has at most one");
    check("clock 2026-01-31T12:00:00Z\nclock x", "2:1: a second `clock`; a transcript has at most one");
    check("advance 1s\nseed 1", "2:1: `seed` comes before the first step, because it holds for all of them");
    assert!(
        error("clock  noon")
            .starts_with("1:8: expected a time such as `2026-01-31T12:00:00Z` after `clock`, from 1970 on: ")
    );
}

#[test]
fn clients() {
    check("bob > hi", "1:1: `bob` has not connected; `connect bob /PATH` comes first (no client has connected so far)");
    check_third("bob nothing", "3:1: `bob` has not connected; `connect bob /PATH` comes first (known here: `alice`)");
    check_third(
        "alise skips",
        "3:1: `alise` has not connected; `connect alise /PATH` comes first (known here: `alice`); \
        did you mean `alice`?",
    );
    check(
        "connect eve / refused 403\neve > hi",
        "2:1: `eve` has not connected; `connect eve /PATH` comes first (no client has connected so far)",
    );
    check(
        "fail outbox bob",
        "1:13: `bob` has not connected; `connect bob /PATH` comes first (no client has connected so far)",
    );
}

#[test]
fn words() {
    check_third("alice", &format!("3:6: {VERBS}"));
    check_third("alice  says hi", &format!("3:8: {VERBS}"));
    check_third("alice closd 1000", &format!("3:7: {VERBS}; did you mean `closed`?"));
    check("conect alice /chat", "1:1: `conect` begins no step; did you mean `connect`?");
    check_third("alice nothing more", "3:15: expected the end of the line after `nothing`, not `more`");
    check_third("alice vanishes 1", "3:16: expected the end of the line after `vanishes`, not `1`");
}

#[test]
fn connecting() {
    check("connect", &format!("1:8: expected the name of a client after `connect`: {NAME}"));
    check("connect 1 /", &format!("1:9: expected the name of a client after `connect`: {NAME}"));
    check("connect sql /", &format!("1:9: `sql` begins steps of its own, so no client can be called {KEYWORDS}"));
    let path = "expected the path that is asked for, and its query: `/chat?room=lobby`";
    check("connect a", &format!("1:10: {path}"));
    check("connect a chat", &format!("1:11: {path}"));
    check("connect a /é", "1:12: `é` cannot stand in the path of a request; write `%C3%A9`");
    check("connect a /#x", "1:12: `#` cannot stand in the path of a request; write `%23`");
    check(
        "connect a / refuse 403",
        "1:13: expected `hassock.v1`, `refused STATUS`, or the end of the line if the host is to accept the client",
    );
    let status = "expected a status of HTTP from 200 to 599 after `refused`, such as `403`";
    check("connect a / refused", &format!("1:20: {status}"));
    check("connect a / refused 101", &format!("1:21: {status}"));
    check("connect a / refused 600", &format!("1:21: {status}"));
    check("connect a / refused 403 /(/", "1:25: the regular expression does not compile: unclosed group");
}

#[test]
fn lines_below_a_connection() {
    let check_below = |line: &str, expected: &str| check(&format!("connect a /\n  {line}"), &format!("2:{expected}"));
    let expected = "expected the name of a header field, `@id: N`, `@since: TOPIC POSITION` or `< NAME: VALUE`";
    check_below("é: a", &format!("3: {expected}"));
    check_below("< : a", &format!("5: {expected}"));
    check_below("origin", "9: expected `: VALUE` after the header field `origin`");
    check_below(
        "Host: a",
        "3: a transcript cannot send `host`: it depends on where the transcript is played; remove the line",
    );
    for name in ["connection", "upgrade", "sec-websocket-key", "sec-websocket-version"] {
        let expected = format!("3: a transcript cannot send `{name}`: the handshake itself has it; remove the line");
        check_below(&format!("{name}: a"), &expected);
    }
    for name in ["sec-websocket-extensions", "sec-websocket-accept"] {
        assert!(
            error(&format!("connect a /\n  {name}: a")).starts_with(&format!("2:3: a transcript cannot send `{name}`"))
        );
    }
    check_below("a: b\u{1}", "7: a control character cannot stand in a header field");
    check_below("@ip: 1", "3: expected `@id: N` or `@since: TOPIC POSITION`; a header field begins with a letter");
    check_below("@id: 0", "8: expected an id from 1 to 9007199254740991 after `@id:`");
    check_below("@id: 9007199254740992", "8: expected an id from 1 to 9007199254740991 after `@id:`");
    check("connect a /\n  @id: 1\n  @id: 2", "3:3: a second `@id`; a connection has one");
    check_below("< a:", "7: expected what `a` is to be; for an empty value write `text`");
    check_below(
        "< a: /b",
        "8: a regular expression ends with `/` at the end of its line; \
        for a text that begins with `/` write `text \"…\"`",
    );
    check(
        "connect a / refused 403\n  < a: b",
        "2:3: header fields are expected only of a client that is accepted; remove the line",
    );
}

#[test]
fn messages() {
    check_third("alice >", "3:8: a message is missing; for an empty one write `text`");
    check_third("alice <  ", "3:8: a message is missing; for an empty one write `text`");
    let digit = "expected a hexadecimal digit, not `x`; for a text that begins with `hex` write `text \"…\"`";
    check_third("alice > hex 0x", &format!("3:14: {digit}"));
    check_third("alice > hex 00\n   1x", &format!("4:5: {digit}"));
    check_third("alice > hex 00 f", "3:17: expected another hexadecimal digit: a byte has two");
    check_third("alice > file", "3:9: expected a path after `file`; for this text itself write `text \"file\"`");
    check_third(
        "alice > file a\n  b",
        "3:9: the path of a file is one line; for a text that begins with `file` write `text \"…\"`",
    );
    check_third(
        "alice < text \"a",
        "3:9: expected a JSON string after `text`, and nothing behind it: EOF while parsing a string",
    );
    let end =
        "a regular expression ends with `/` at the end of its line; for a text that begins with `/` write `text \"…\"`";
    check_third("alice < /", &format!("3:9: {end}"));
    check_third("alice < /a\n  b/", &format!("3:9: {end}"));
    check_third("alice < /[/", "3:9: the regular expression does not compile: unclosed character class");
}

#[test]
fn json() {
    let advice = "for a text that only looks like JSON write `text \"…\"`";
    check_third("alice > {\"a\":}", &format!("3:14: not JSON: expected value; {advice}"));
    check_third("alice < [\"é\" 1]", &format!("3:14: not JSON: expected `,` or `]`; {advice}"));
    check_third("alice < {\"a\": 1,\n      \"b\":\n     }", &format!("5:6: not JSON: expected value; {advice}"));
    check_third("alice < {\"a\":\n    1", &format!("4:6: not JSON: EOF while parsing an object; {advice}"));
    check_third("alice > \"a\" b", &format!("3:13: not JSON: trailing characters; {advice}"));
    let quote = "placeholders stand in quotation marks";
    check_third("alice < {\"a\": ${any}}", &format!("3:15: not JSON: expected value; {quote}"));
    check_third("alice > [\"\\\"\", ${id}]", &format!("3:16: not JSON: expected value; {quote}"));
    check_third("alice < [\"${any}\" 1]", &format!("3:19: not JSON: expected `,` or `]`; {advice}"));
}

#[test]
fn placeholders() {
    check_third(
        "alice < {\"a\":\n  [\"${a=strng}\"]}",
        &format!("4:4: `strng` is not a kind of value: expected {KINDS}; did you mean `string`?"),
    );
    check_third(
        "alice < [\"a ${any}\"]",
        &format!("3:10: a placeholder is a whole string, and `a ${{any}}` is more than one: {LITERAL}"),
    );
    check_third(
        "alice < {\"a\":\"${strin}\"}",
        &format!("3:14: no earlier step has captured `strin`; the kinds of values are {KINDS}; did you mean `string`?"),
    );
    check_third(
        "alice < [\"${a=any}\",\"${a}\"]",
        &format!("3:21: no earlier step has captured `a`; the kinds of values are {KINDS}"),
    );
    check_third("alice < [\"${a=any}\",\"${a=any}\"]", "3:10: this message captures `a` twice; use another name");
    check_third(
        "alice < \"${id=any}\"\nalice > {\"a\":\"${any}\"}",
        &format!("4:15: no earlier step has captured `any` (captured so far: `id`); {LITERAL}"),
    );
    check_third("alice > a ${b", &format!("3:11: a `${{` without `}}`: {LITERAL}"));
    check_third("alice > text \"${b}\"", &format!("3:9: no earlier step has captured `b`; {LITERAL}"));
    check_third(
        "alice > one\n  two ${b c}",
        &format!("4:7: `${{b c}}` is not the name of something captured: {LITERAL}"),
    );
}

#[test]
fn placeholders_in_texts_that_are_expected() {
    check_third("alice < hi ${bob}", &format!("3:12: no earlier step has captured `bob`; {LITERAL}"));
    check_third("alice < text \"${bob}\"", &format!("3:9: no earlier step has captured `bob`; {LITERAL}"));
    check_third(
        "alice < one\n  two ${b c}",
        &format!("4:7: `${{b c}}` is not the name of something captured: {LITERAL}"),
    );
    let advice = "kinds are for strings of JSON; for a text use `/regex/`";
    for kind in ["any", "string", "n=number", "n=/x/", "/x/"] {
        let expected = format!("`${{{kind}}}` stands in a text: {advice}");
        check_third(&format!("alice < a ${{{kind}}}"), &format!("3:11: {expected}"));
        check_third(&format!("alice < text \"a ${{{kind}}}\""), &format!("3:9: {expected}"));
    }
}

#[test]
fn placeholders_elsewhere() {
    let unknown = format!("no earlier step has captured `id`; {LITERAL}");
    check("connect a /?id=${id}", &format!("1:16: {unknown}"));
    check("connect a /\n  origin: x${id}", &format!("2:12: {unknown}"));
    check("sql main: SELECT ${id}", &format!("1:18: {unknown}"));
    check("sql main:\n  SELECT\n  ${id}", &format!("3:3: {unknown}"));
    check("connect a /?id=${id", &format!("1:16: a `${{` without `}}`: {LITERAL}"));
}

#[test]
fn closing() {
    let client = "expected a code that a client may send: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999";
    for code in ["1002", "1004", "1005", "1006", "1015", "2999", "5000", "x"] {
        check_third(&format!("alice disconnects {code}"), &format!("3:19: {client}"));
    }
    let reason = "x".repeat(124);
    check_third(
        &format!("alice disconnects 1000 {reason}"),
        "3:24: the reason has 124 bytes; a close frame has room for 123",
    );
    let code = "expected a close code from 1000 to 4999 (1005: without a code, 1006: without a close frame)";
    check_third("alice closed", &format!("3:13: {code}"));
    check_third("alice closed 999", &format!("3:14: {code}"));
    check_third("alice closed 5000", &format!("3:14: {code}"));
    check_third(
        "alice closed 1011 /*/",
        "3:19: the regular expression does not compile: repetition operator missing expression",
    );
}

#[test]
fn statements() {
    check("sql", &format!("1:4: expected the name of a database after `sql`: {NAME}"));
    check("sql main SELECT 1", "1:9: expected `: STATEMENT` after `sql main`");
    check("sql main:", "1:10: a statement is missing");
    check("sql main:\n  | a |", "1:10: a statement is missing");
    check("sql main: file", "1:11: expected a path after `file`");
    check("sql main: file a.sql\n  b.sql", "1:11: the path of a file is one line");
    let no_rows = "a file of statements has no rows; a step of its own can ask for them";
    check("sql main: file a.sql\n  | n |", &format!("2:3: {no_rows}"));
}

#[test]
fn tables() {
    let check_table = |lines: &str, expected: &str| check(&format!("sql m: SELECT 1\n  | a | b |{lines}"), expected);
    check_table("\n  | 1 |", "3:3: the row has 1 cells, the table 2 columns; `\\|` is a `|` in a cell");
    check_table("\n  | 1 | 2 | 3 |", "3:3: the row has 3 cells, the table 2 columns; `\\|` is a `|` in a cell");
    check_table("\n  FROM a", "3:3: expected a row that begins with `|`: the table is the end of the step");
    check_table("\n  |", "3:4: expected a cell after `|`");
    let blank = "a cell is blank; write `\"\"` for the empty text, `NULL` for no value, `${any}` for any";
    check_table("\n  | 1 |  |", &format!("3:10: {blank}"));
    let escapes = "expected `\\|`, `\\\\`, `\\n`, `\\r`, `\\t`, `\\s` (a blank), `\\/`, `\\$` or `\\\"`";
    check_table("\n  | é\\x | b |", &format!("3:6: {escapes}"));
    check_table(
        "\n  | 1 | ${id} |",
        "3:9: no earlier step has captured `id`; for a cell that begins with `${` write `\\${`",
    );
    check_table(
        "\n  | 1 | ${number} |",
        "3:9: the placeholders in a table are `${any}` and a captured `${NAME}`; \
        for a cell that begins with `${` write `\\${`",
    );
    check_table(
        "\n  | 1 | ${any}s |",
        "3:9: the placeholders in a table are `${any}` and a captured `${NAME}`; \
        for a cell that begins with `${` write `\\${`",
    );
    check_table(
        "\n  | 1 | /a |",
        "3:9: a regular expression ends with `/`; for a cell that begins with `/` write `\\/`",
    );
    check_table(
        "\n  | 1 | / |",
        "3:9: a regular expression ends with `/`; for a cell that begins with `/` write `\\/`",
    );
    check_table("\n  | 1 | /(/ |", "3:9: the regular expression does not compile: unclosed group");
}

#[test]
fn time_and_versions() {
    assert!(
        error("advance soon").starts_with("1:9: expected a time such as `30s`, `250ms` or `1h 30m` after `advance`: ")
    );
    check("advance 0s", "1:9: expected more than no time, and at most `365days`, after `advance`");
    check("advance 365days 1ns", "1:9: expected more than no time, and at most `365days`, after `advance`");
    let file = "expected the file of a component: `swap FILE`, or `swap APP: FILE`";
    check("swap", &format!("1:5: {file}"));
    check("swap chat: ", &format!("1:11: {file}"));
}

#[test]
fn faults() {
    let targets = "expected `sql`, `call`, `instances` or `outbox` after `fail`";
    check("fail", &format!("1:5: {targets}"));
    check("fail cal: trap", &format!("1:6: {targets}; did you mean `call`?"));
    check("fail sql: timeout", &format!("1:9: expected the name of a database after `fail sql`: {NAME}"));
    let kinds = "`denied`, `timeout`, `pool exhausted`, `constraint`, `syntax`, `too large` or `connection lost`";
    check("fail sql main", &format!("1:14: expected `: KIND` after `fail sql main`; the kinds are {kinds}"));
    check("fail sql main: timout", &format!("1:16: expected {kinds} after `fail sql main:`; did you mean `timeout`?"));
    let kinds = "`trap`, `memory`, `cpu time`, `timeout` or `busy`";
    check("fail call chat", &format!("1:15: expected `: KIND` after `fail call`; the kinds are {kinds}"));
    check("fail call: x", &format!("1:12: expected {kinds} after `fail call:`"));
    check("fail instances a b", "1:18: expected the end of the line after `fail instances [APP]`, not `b`");
    check("fail outbox", &format!("1:12: expected the name of a client after `fail outbox`: {NAME}"));
    check_third("fail outbox alice b", "3:19: expected the end of the line after `fail outbox CLIENT`, not `b`");
}

#[test]
fn settings() {
    let key = "expected a key of the config after `set`, such as `settings.greeting` or `topics.\"room:*\".history`";
    check("set", &format!("1:4: {key}"));
    check("set a..b = 1", &format!("1:5: {key}"));
    check("set a b", "1:7: expected `= VALUE` after `set a`");
    check("set a =", "1:8: expected a value as TOML after `set a =`, such as `5` or `\"text\"`");
}
