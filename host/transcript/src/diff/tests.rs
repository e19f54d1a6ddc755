use super::*;

/// Without colours.
fn strip(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn short_texts_stand_below_each_other() {
    let mismatch = Mismatch::new("hi", "ho");
    assert_eq!(strip(&diff(&mismatch)), "expected: hi\ngot:      ho\n");
    assert_eq!(diff(&mismatch), "\u{1b}[31mexpected: hi\u{1b}[0m\n\u{1b}[32mgot:      ho\u{1b}[0m\n");
}

#[test]
fn several_lines_are_a_diff() {
    let mismatch = Mismatch::new("{\n  \"a\": 1,\n  \"b\": 2\n}", "{\n  \"a\": 1,\n  \"b\": 3\n}");
    let expected = "- expected\n+ got\n  {\n    \"a\": 1,\n-   \"b\": 2\n+   \"b\": 3\n  }\n";
    assert_eq!(strip(&diff(&mismatch)), expected);
    assert!(diff(&mismatch).contains("\u{1b}[31m-   \"b\": 2\u{1b}[0m\n"));
}

#[test]
fn what_is_the_same_is_left_out() {
    let numbers = |other: [usize; 2]| {
        let lines = (1..40).map(|line| if other.contains(&line) { format!("<{line}>") } else { line.to_string() });
        lines.collect::<Vec<_>>().join("\n")
    };
    let text = strip(&diff(&Mismatch::new(numbers([0, 0]), numbers([5, 30]))));
    let expected = "- expected\n+ got\n  2\n  3\n  4\n- 5\n+ <5>\n  6\n  7\n  8\n  …\n  \
                    27\n  28\n  29\n- 30\n+ <30>\n  31\n  32\n  33\n";
    assert_eq!(text, expected);
}

#[test]
fn a_message_cannot_command_the_terminal() {
    let text = strip(&diff(&Mismatch::new("a\nb", "a\n\u{1b}[2Jb")));
    assert_eq!(text, "- expected\n+ got\n  a\n- b\n+ \\u{1b}[2Jb\n");
}
