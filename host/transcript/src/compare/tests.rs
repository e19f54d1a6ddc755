use serde_json::json;

use super::*;
use crate::backend::Rows;
use crate::format::{Cell, Regex, Table};

fn regex(text: &str) -> Regex {
    Regex(regex::Regex::new(text).unwrap())
}

fn compare(expected: Json, got: &str, captures: &mut Captures) -> Result<(), Mismatch> {
    message(&Expected::Json(expected), &Message::Text(got.to_owned()), captures)
}

/// The place of the first difference; none if there is no difference.
fn place(expected: Json, got: &str) -> Option<String> {
    compare(expected, got, &mut Captures::new()).err().map(|mismatch| mismatch.place.expect("both are JSON"))
}

fn same(expected: Json, got: &str) -> bool {
    compare(expected, got, &mut Captures::new()).is_ok()
}

#[test]
fn keys_may_come_in_any_order() {
    assert!(same(json!({"a": 1, "b": {"c": [1, 2], "d": null}}), r#"{"b":{"d":null,"c":[1,2]},"a":1}"#));
}

#[test]
fn numbers_are_equal_however_they_are_written() {
    assert!(same(json!([1, 1.0, 100, 0.5, -0.0]), "[1.0, 1, 1e2, 5e-1, 0]"));
    assert!(!same(json!(1), "1.5"));
    assert!(!same(json!(9_007_199_254_740_993_u64), "9007199254740992.0"), "not exact as a float");
    assert!(!same(json!(u64::MAX), "18446744073709551614"));
}

#[test]
fn the_first_difference_has_a_place() {
    assert_eq!(place(json!({"from": ["bob"]}), r#"{"from":["eve"]}"#).unwrap(), "$.from[0]");
    assert_eq!(place(json!({"a": 1}), r#"{"a":1,"b":2}"#).unwrap(), "$.b");
    assert_eq!(place(json!({"a": 1, "b": 2}), r#"{"a":1}"#).unwrap(), "$.b");
    assert_eq!(place(json!([1]), "[1,2]").unwrap(), "$[1]");
    assert_eq!(place(json!([1, 2]), "[1]").unwrap(), "$[1]");
    assert_eq!(place(json!({"a b": 1}), r#"{"a b":2}"#).unwrap(), r#"$["a b"]"#);
    assert_eq!(place(json!({"a": [1, 2], "b": 1}), r#"{"a":[1,3],"b":2}"#).unwrap(), "$.a[1]");
    assert_eq!(place(json!("a"), "null").unwrap(), "$");
    assert_eq!(place(json!([]), "{}").unwrap(), "$");
}

#[test]
fn each_kind_of_placeholder_takes_its_kind_and_no_other() {
    let values = ["\"text\"", "1", "true", "[]", "{}", "null"];
    let takes = |placeholder: &str| values.map(|value| same(json!([placeholder]), &format!("[{value}]")));
    assert_eq!(takes("${any}"), [true; 6]);
    assert_eq!(takes("${string}"), [true, false, false, false, false, false]);
    assert_eq!(takes("${number}"), [false, true, false, false, false, false]);
    assert_eq!(takes("${boolean}"), [false, false, true, false, false, false]);
    assert_eq!(takes("${array}"), [false, false, false, true, false, false]);
    assert_eq!(takes("${object}"), [false, false, false, false, true, false]);
    assert_eq!(takes("${/^t.xt$/}"), [true, false, false, false, false, false]);
    assert_eq!(takes("${/^x/}"), [false; 6]);
    assert!(!same(json!({"at": "${any}"}), "{}"), "a placeholder stands for something");
}

#[test]
fn two_dollars_stand_for_a_literal_placeholder() {
    assert!(same(json!("$${any}"), r#""${any}""#));
    assert!(!same(json!("$${any}"), r#""x""#));
    assert!(!same(json!("$${any}"), r#""$${any}""#));
}

#[test]
fn what_was_captured_is_expected_again() {
    let mut captures = Captures::new();
    compare(json!({"id": "${ID=number}", "who": "${WHO=/^a/}"}), r#"{"id":17,"who":"alice"}"#, &mut captures).unwrap();
    assert_eq!(captures, Captures::from([("ID".to_owned(), json!(17)), ("WHO".to_owned(), json!("alice"))]));
    assert_eq!(compare(json!(["${ID}", "${WHO}"]), r#"[17.0,"alice"]"#, &mut captures), Ok(()));
    let mismatch = compare(json!(["${ID}"]), "[18]", &mut captures).unwrap_err();
    assert_eq!((mismatch.expected.as_str(), mismatch.got.as_str()), ("[\n  17\n]", "[\n  18\n]"));
    assert!(compare(json!("${OTHER}"), "18", &mut captures).is_err());
}

#[test]
fn nothing_is_captured_from_a_message_that_does_not_match() {
    let mut captures = Captures::from([("ID".to_owned(), json!(1))]);
    compare(json!({"id": "${ID=number}", "ok": true}), r#"{"id":2,"ok":false}"#, &mut captures).unwrap_err();
    compare(json!({"id": "${ID=string}"}), r#"{"id":2}"#, &mut captures).unwrap_err();
    assert_eq!(captures, Captures::from([("ID".to_owned(), json!(1))]));
}

#[test]
fn a_mismatch_shows_placeholders_that_match_as_what_came() {
    let expected = json!({"to": "bob", "at": "${number}", "id": "${string}", "text": "$${x}"});
    let mismatch = compare(expected, r#"{"at":5,"to":"eve","id":1,"text":"${x}"}"#, &mut Captures::new()).unwrap_err();
    let expected = "{\n  \"at\": 5,\n  \"id\": \"${string}\",\n  \"text\": \"${x}\",\n  \"to\": \"bob\"\n}";
    let got = "{\n  \"at\": 5,\n  \"id\": 1,\n  \"text\": \"${x}\",\n  \"to\": \"eve\"\n}";
    assert_eq!(mismatch, Mismatch { place: Some("$.id".to_owned()), ..Mismatch::new(expected, got) });
}

#[test]
fn texts_and_bytes_are_compared_exactly() {
    let check = |expected: Expected, got: &Message| message(&expected, got, &mut Captures::new());
    let (text, bytes) = (Message::Text("hi".to_owned()), Message::Binary(vec![0, 255]));
    assert_eq!(check(Expected::Text("hi".to_owned()), &text), Ok(()));
    assert_eq!(check(Expected::Text("hi ".to_owned()), &text), Err(Mismatch::new("text \"hi \"", "hi")));
    assert_eq!(check(Expected::Text(String::new()), &text), Err(Mismatch::new("text \"\"", "hi")));
    assert_eq!(check(Expected::Regex(regex("^h")), &text), Ok(()));
    assert_eq!(check(Expected::Regex(regex("^x")), &text), Err(Mismatch::new("/^x/", "hi")));
    assert_eq!(check(Expected::Binary(vec![0, 255]), &bytes), Ok(()));
    assert_eq!(check(Expected::Binary(vec![1]), &bytes), Err(Mismatch::new("hex 01", "hex 00 ff")));
    assert_eq!(check(Expected::Text("hi".to_owned()), &bytes), Err(Mismatch::new("hi", "hex 00 ff")));
    assert_eq!(check(Expected::Regex(regex(".")), &bytes), Err(Mismatch::new("/./", "hex 00 ff")));
    assert_eq!(check(Expected::Json(json!([1])), &text), Err(Mismatch::new("[1]", "hi")));
    assert_eq!(check(Expected::Json(json!([1])), &bytes), Err(Mismatch::new("[1]", "hex 00 ff")));
}

#[test]
fn texts_stand_for_what_was_captured() {
    let mut captures = Captures::from([("ID".to_owned(), json!(17)), ("WHO".to_owned(), json!("bob"))]);
    let mut check = |expected: &str, got: &str| {
        message(&Expected::Text(expected.to_owned()), &Message::Text(got.to_owned()), &mut captures)
    };
    assert_eq!(check("${WHO} is ${ID}, $${ID}", "bob is 17, ${ID}"), Ok(()));
    assert_eq!(check("${WHO} is ${ID}", "bob is 18"), Err(Mismatch::new("bob is 17", "bob is 18")));
    assert_eq!(check("$${ID}", "$${ID}"), Err(Mismatch::new("${ID}", "$${ID}")));
    check("${OTHER}", "17").unwrap_err();
}

#[test]
fn what_was_captured_is_not_read_again() {
    let captures = Captures::from([("A".to_owned(), json!(["${B} $${C}"])), ("T".to_owned(), json!("${B} $${C}"))]);
    assert_eq!(fill_message("{\"a\":\"${A}\"}", &captures), Ok("{\"a\":[\"${B} $${C}\"]}".to_owned()));
    assert_eq!(fill_message("{\"t\":\"${T}\"}", &captures), Ok("{\"t\":\"${B} $${C}\"}".to_owned()));
    assert_eq!(fill("${A} ${T}", &captures), Ok("[\"${B} $${C}\"] ${B} $${C}".to_owned()));
}

#[test]
fn a_large_binary_message_is_not_shown_whole() {
    let shown = show_message(&Message::Binary(vec![7; 1_000]));
    assert!(shown.ends_with(" 07 … (1000 bytes)") && shown.len() < 800, "{shown}");
}

#[test]
fn patterns_of_texts() {
    assert_eq!(text(&TextPattern::Exact("bye".to_owned()), "bye"), Ok(()));
    assert_eq!(text(&TextPattern::Exact("bye".to_owned()), "byes"), Err(Mismatch::new("bye", "byes")));
    assert_eq!(text(&TextPattern::Regex(regex("^bye")), "byes"), Ok(()));
    assert_eq!(text(&TextPattern::Regex(regex("^bye$")), "byes"), Err(Mismatch::new("/^bye$/", "byes")));
}

fn rows(columns: &[&str], rows: &[&[&str]]) -> Rows {
    let owned = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    Rows { columns: owned(columns), rows: rows.iter().map(|row| owned(row)).collect() }
}

fn compare_rows(expected: &Table, got: &Rows) -> Result<(), Mismatch> {
    table(expected, got, &Captures::new())
}

fn expected_rows() -> Table {
    let exact = |text: &str| Cell::Exact(text.to_owned());
    Table {
        columns: vec!["id".to_owned(), "body".to_owned()],
        rows: vec![vec![Cell::Any, exact("hello")], vec![exact("2"), Cell::Regex(regex("^b"))]],
    }
}

#[test]
fn rows_are_compared_cell_by_cell() {
    assert_eq!(compare_rows(&expected_rows(), &rows(&["id", "body"], &[&["1", "hello"], &["2", "bye"]])), Ok(()));
    for wrong in [
        rows(&["id", "body"], &[&["1", "hello"]]),
        rows(&["id", "body"], &[&["1", "hello"], &["2", "bye"], &["3", "x"]]),
        rows(&["id", "text"], &[&["1", "hello"], &["2", "bye"]]),
        rows(&["id", "body"], &[&["2", "bye"], &["1", "hello"]]),
        rows(&["id", "body"], &[&["1", "hello"], &["3", "bye"]]),
        rows(&["id", "body"], &[&["1", "hello"], &["2", "x"]]),
    ] {
        compare_rows(&expected_rows(), &wrong).unwrap_err();
    }
}

#[test]
fn tables_that_differ_are_aligned_with_each_other() {
    let got = rows(&["id", "body"], &[&["1", "hello, world"], &["2", "bye"]]);
    let mismatch = compare_rows(&expected_rows(), &got).unwrap_err();
    let expected = "| id | body         |\n| 1  | hello        |\n| 2  | bye          |";
    let got = "| id | body         |\n| 1  | hello, world |\n| 2  | bye          |";
    assert_eq!(mismatch, Mismatch::new(expected, got));
}

#[test]
fn a_statement_without_rows_is_not_an_empty_table() {
    let nothing = Table { columns: vec!["id".to_owned()], rows: Vec::new() };
    assert_eq!(compare_rows(&nothing, &rows(&["id"], &[])), Ok(()));
    let mismatch = compare_rows(&nothing, &rows(&[], &[])).unwrap_err();
    assert_eq!(mismatch, Mismatch::new("| id |", "no rows, and no columns: the statement is not a query"));
}

#[test]
fn cells_with_strange_texts_stay_on_their_line() {
    let expected = Table { columns: vec!["a".to_owned()], rows: vec![vec![Cell::Exact("x|y\nz\\".to_owned())]] };
    let mismatch = compare_rows(&expected, &rows(&["a"], &[&[""]])).unwrap_err();
    assert_eq!(mismatch, Mismatch::new("| a         |\n| x\\|y\\nz\\\\ |", "| a         |\n| \"\"        |"));
    let empty = Table { columns: vec!["a".to_owned()], rows: vec![vec![Cell::Exact("\"\"".to_owned())]] };
    assert_eq!(compare_rows(&empty, &rows(&["a"], &[&[""]])), Ok(()));
}

#[test]
fn cells_stand_for_what_was_captured() {
    let captured = |value: Json, got: &str| {
        cell_matches(&Cell::Captured("x".to_owned()), got, &Captures::from([("x".to_owned(), value)]))
    };
    assert!(captured(json!(17), "17") && !captured(json!(17), "18"));
    assert!(captured(json!("bob"), "bob") && captured(json!(true), "true"));
    assert!(captured(json!(1.0), "1") && captured(json!(0.5), "0.5"));
    assert!(captured(json!(""), ""));
    assert!(captured(Json::Null, "NULL") && !captured(json!("NULL"), "NULL"));
    assert!(captured(json!("NULL"), "\"NULL\""));
    assert!(!cell_matches(&Cell::Captured("x".to_owned()), "NULL", &Captures::new()), "nothing was captured");
    let expected = Table { columns: vec!["a".to_owned()], rows: vec![vec![Cell::Captured("x".to_owned())]] };
    let captures = Captures::from([("x".to_owned(), json!(17))]);
    let mismatch = table(&expected, &rows(&["a"], &[&["18"]]), &captures).unwrap_err();
    assert_eq!(mismatch, Mismatch::new("| a  |\n| 17 |", "| a  |\n| 18 |"));
}

#[test]
fn texts_that_look_like_something_else_are_shown_in_quotation_marks() {
    let cases = [
        ("NULL", "\"NULL\""),
        ("\"a\"", "\"\\\"a\\\"\""),
        ("\"\"", "\"\\\"\\\"\""),
        ("null", "null"),
        ("\"", "\""),
        ("\"a", "\"a"),
        ("", ""),
    ];
    for (text, shown) in cases {
        assert_eq!(text_cell(text), shown);
    }
}
