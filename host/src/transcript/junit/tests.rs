use super::*;
use crate::transcript::report::tests::{failed, passed, unreadable};

fn xml(results: &[Finished]) -> String {
    let mut bytes = Vec::new();
    write(results, Duration::from_millis(210), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_report_has_a_case_for_each_transcript() {
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="hassock" tests="3" failures="1" errors="1" skipped="0" time="0.210000">
  <testsuite name="hassock" tests="3" failures="1" errors="1" skipped="0" time="0.210000">
    <testcase name="chat.transcript" classname="hassock" file="chat.transcript" time="0.004000">
      <properties>
        <property name="calls" value="31"/>
        <property name="cpu_seconds" value="0.002100"/>
        <property name="peak_memory_bytes" value="1363149"/>
        <property name="statements" value="9"/>
      </properties>
    </testcase>
    <testcase name="a.transcript" classname="hassock" file="a.transcript" time="0.004000">
      <properties>
        <property name="calls" value="31"/>
        <property name="cpu_seconds" value="0.002100"/>
        <property name="peak_memory_bytes" value="1363149"/>
        <property name="statements" value="9"/>
      </properties>
      <failure message="`alice` got another message than expected" type="mismatch">a.transcript:7: `alice` got another message than expected
  | alice &lt; hi &lt;b&gt;
  expected: hi &lt;b&gt;
  got:      ho \u{1b}[2J
  log:
    INFO  a call
    ERROR trapped app=chat
      at inner
      &lt;- outer
</failure>
    </testcase>
    <testcase name="b.transcript" classname="hassock" file="b.transcript" time="0.004000">
      <error message="b.transcript:3:9: expected `&gt;` &amp; more" type="error">b.transcript:3:9: expected `&gt;` &amp; more</error>
    </testcase>
  </testsuite>
</testsuites>
"#;
    assert_eq!(xml(&[passed(), failed(), unreadable()]), expected);
}

#[test]
fn a_report_of_nothing_is_a_report() {
    assert!(xml(&[]).contains(r#"tests="0" failures="0" errors="0""#));
    let plain = Finished { cost: None, ..passed() };
    assert!(xml(&[plain]).contains(r#"file="chat.transcript" time="0.004000"/>"#));
}

#[test]
fn characters_that_xml_has_no_words_for_are_replaced() {
    let strange = Finished { file: "a\u{1}\u{ffff}\"<b>é".to_owned(), ..passed() };
    let xml = xml(&[strange]);
    assert!(xml.contains("name=\"a\u{fffd}\u{fffd}&quot;&lt;b&gt;é\""), "{xml}");
}
