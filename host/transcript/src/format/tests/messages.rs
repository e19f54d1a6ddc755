//! What is sent, and what is expected.

use serde_json::json;

use super::super::placeholder::{Kind, Placeholder, escape, literal, substitute};
use super::super::{Action, Expected, Payload};
use super::{ALICE, last, of_alice, read, regex};

fn sent(message: &str) -> Payload {
    match of_alice(&format!("alice >{message}")) {
        Action::Send { payload, .. } => payload,
        other => panic!("{other:?}"),
    }
}

fn expected(message: &str) -> Expected {
    match of_alice(&format!("alice <{message}")) {
        Action::Expect { expected, .. } => expected,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Payload {
    Payload::Text(text.to_owned())
}

#[test]
fn texts_are_sent_as_they_are_written() {
    assert_eq!(sent(" hi, all "), text("hi, all"));
    assert_eq!(sent("hi"), text("hi"));
    assert_eq!(sent(" {\"b\": 1,  \"a\":2}"), text("{\"b\": 1,  \"a\":2}"));
    assert_eq!(sent(" /join lobby"), text("/join lobby"));
    assert_eq!(sent(" text me"), text("text me"));
    assert_eq!(sent(" texts"), text("texts"));
    assert_eq!(sent(" hexagon"), text("hexagon"));
    assert_eq!(sent(" a | b # c"), text("a | b # c"));
}

#[test]
fn quoted_texts_are_exact() {
    assert_eq!(sent(" text"), text(""));
    assert_eq!(sent(" text \" a\\nb \""), text(" a\nb "));
    assert_eq!(expected(" text \"{}\""), Expected::Text("{}".to_owned()));
}

#[test]
fn messages_go_on_in_indented_lines() {
    assert_eq!(sent(" one\n    two  \n\n  # no part of it\n  three"), text("one\n  two\nthree"));
    assert_eq!(sent("\n\t{\n\t\t\"a\": 1\n\t}"), text("{\n\t\"a\": 1\n}"));
    assert_eq!(expected(" {\"a\":\r\n  1}\r\n"), Expected::Json(json!({"a": 1})));
}

#[test]
fn binary_messages() {
    assert_eq!(sent(" hex 00 fF\n  1 0"), Payload::Binary(vec![0, 255, 16]));
    assert_eq!(sent(" hex"), Payload::Binary(Vec::new()));
    assert_eq!(expected(" hex 00ff"), Expected::Binary(vec![0, 255]));
    assert_eq!(sent(" file a b.png"), Payload::File("a b.png".to_owned()));
    assert_eq!(expected(" file a b.png"), Expected::File("a b.png".to_owned()));
}

#[test]
fn expected_messages() {
    assert_eq!(expected(" {\"a\":[1]}"), Expected::Json(json!({"a": [1]})));
    assert_eq!(expected(" \"a\""), Expected::Json(json!("a")));
    assert_eq!(expected(" 5"), Expected::Text("5".to_owned()));
    assert_eq!(expected(" /^\\d+$/"), Expected::Regex(regex("^\\d+$")));
    assert_eq!(expected(" //"), Expected::Regex(regex("")));
}

#[test]
fn what_was_captured_can_be_used_later() {
    let text = format!("{ALICE}alice < {{\"id\":\"${{id=number}}\"}}\nalice > get ${{id}}\nalice < \"${{id}}\"\n");
    assert_eq!(read(&text).steps.len(), 4);
}

#[test]
fn expected_texts_stand_for_what_was_captured_too() {
    let expect = |message: &str| last(&format!("{ALICE}alice < \"${{id=any}}\"\nalice <{message}"));
    let text = |text: &str| {
        let expected = Expected::Text(text.to_owned());
        Action::Expect { client: "alice".to_owned(), expected }
    };
    assert_eq!(expect(" got ${id}, $${id}"), text("got ${id}, $${id}"));
    assert_eq!(expect("\n  one\n  ${id}"), text("one\n${id}"));
    assert_eq!(expect(" text \" ${id}\""), text(" ${id}"));
}

#[test]
fn placeholders() {
    let cases = [
        ("${any}", Placeholder::Kind(Kind::Any)),
        ("${string}", Placeholder::Kind(Kind::String)),
        ("${number}", Placeholder::Kind(Kind::Number)),
        ("${boolean}", Placeholder::Kind(Kind::Boolean)),
        ("${array}", Placeholder::Kind(Kind::Array)),
        ("${object}", Placeholder::Kind(Kind::Object)),
        ("${/a}=b/}", Placeholder::Kind(Kind::Regex(regex("a}=b")))),
        ("${id=number}", Placeholder::Capture("id".to_owned(), Kind::Number)),
        ("${id=/=/}", Placeholder::Capture("id".to_owned(), Kind::Regex(regex("=")))),
        ("${id}", Placeholder::Captured("id".to_owned())),
    ];
    for (text, expected) in cases {
        assert_eq!(Placeholder::parse(text), Ok(Some(expected)), "{text}");
    }
    for text in ["", "any", "$any", "$${any}", "a $${ b", "{any}", "$"] {
        assert_eq!(Placeholder::parse(text), Ok(None), "{text}");
    }
}

#[test]
fn malformed_placeholders() {
    let advice = "for a literal `${` write `$${`";
    let kinds = "`any`, `string`, `number`, `boolean`, `array`, `object` or `/REGEX/`";
    let cases = [
        ("a ${any}", format!("a placeholder is a whole string, and `a ${{any}}` is more than one: {advice}")),
        ("${any", format!("a placeholder is a whole string, and `${{any` is more than one: {advice}")),
        (
            "${}",
            format!(
                "`${{}}` is not a placeholder: expected {kinds}, NAME=KIND or a captured NAME between the braces; {advice}"
            ),
        ),
        ("${a=nmber}", format!("`nmber` is not a kind of value: expected {kinds}; did you mean `number`?")),
        ("${any=number}", "`any` is a kind of value; capture under another name".to_owned()),
        ("${1=any}", "`1` is not a name: expected a letter or `_`, then letters, digits, `_`, `.` or `-`".to_owned()),
        ("${/(/}", "the regular expression does not compile: unclosed group".to_owned()),
        ("${/a}", "the regular expression does not end with `/`".to_owned()),
    ];
    for (text, expected) in cases {
        assert_eq!(Placeholder::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn references_are_replaced() {
    let lookup = |name: &str| (name == "id").then(|| "${7}".to_owned());
    let substituted = |text: &str| substitute(text, lookup);
    assert_eq!(substituted("a ${id}, $${id} and ${id}$"), Ok("a ${7}, ${id} and ${7}$".to_owned()));
    assert_eq!(substituted("$$${id}"), Ok("$${id}".to_owned()));
    assert_eq!(substituted("${no}"), Err("nothing has been captured as `no`".to_owned()));
    assert_eq!(substituted("${id"), Err("a `${` without `}`: for a literal `${` write `$${`".to_owned()));
    assert!(substituted("${a b}").is_err());
}

#[test]
fn literal_texts_survive_being_escaped() {
    for text in ["", "${any}", "$${x}", "$$$${", "a$", "{$", "${${"] {
        assert_eq!(literal(&escape(text)), text);
        assert_eq!(Placeholder::parse(&escape(text)), Ok(None), "{text}");
        assert_eq!(substitute(&escape(text), |_| None), Ok(text.to_owned()));
    }
}
