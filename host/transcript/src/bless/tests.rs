use super::*;

fn replace(first: usize, last: usize, text: &str) -> Blessing {
    Blessing::Replace { lines: first..=last, text: text.to_owned() }
}

fn insert(line: usize, text: &str) -> Blessing {
    Blessing::InsertAfter { line, text: text.to_owned() }
}

#[test]
fn nothing_changes_without_corrections() {
    let text = "# a\r\n\n  \tconnect\r\nno end";
    assert_eq!(apply(text, Vec::new()), text);
}

#[test]
fn lines_are_replaced_deleted_and_inserted() {
    let text = "# why\none\n\ntwo\n  more\nthree  \n";
    let blessings = vec![insert(2, "b"), replace(4, 5, "TWO\n  MORE\n  YET"), insert(2, "c"), insert(0, "a")];
    assert_eq!(apply(text, blessings), "a\n# why\none\nb\nc\n\nTWO\n  MORE\n  YET\nthree  \n");
    assert_eq!(apply(text, vec![Blessing::Delete { lines: 4..=5 }]), "# why\none\n\nthree  \n");
}

#[test]
fn comments_within_a_step_stay() {
    let text = "one\ntwo\n  # why\n\n  more\nthree\n";
    assert_eq!(apply(text, vec![replace(2, 5, "TWO")]), "one\nTWO\n  # why\n\nthree\n");
    assert_eq!(apply(text, vec![Blessing::Delete { lines: 2..=5 }]), "one\n  # why\n\nthree\n");
}

#[test]
fn insertions_stand_behind_all_lines_of_a_step_that_is_replaced() {
    assert_eq!(apply("one\n  more\ntwo\n", vec![replace(1, 2, "ONE"), insert(2, "new")]), "ONE\nnew\ntwo\n");
}

#[test]
fn line_ends_are_those_of_the_text() {
    assert_eq!(
        apply("one\r\ntwo\r\n", vec![replace(1, 1, "ONE\n  MORE"), insert(2, "three")]),
        "ONE\r\n  MORE\r\ntwo\r\nthree\r\n"
    );
}

#[test]
fn a_last_line_without_an_end_gets_one_only_if_another_follows() {
    assert_eq!(apply("one\ntwo", vec![insert(2, "three")]), "one\ntwo\nthree\n");
    assert_eq!(apply("one\ntwo", vec![replace(1, 1, "ONE")]), "ONE\ntwo");
}
