use super::*;
use crate::report::tests::{failed, passed, unreadable};

fn xml(results: &[Finished]) -> String {
    let mut bytes = Vec::new();
    write(results, Duration::from_millis(210), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_report_has_a_case_for_each_transcript() {
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="hassock" tests="3" skipped="0" failures="1" errors="1" time="0.210">
    <testsuite name="hassock" tests="3" skipped="0" errors="1" failures="1" time="0.210">
        <testcase name="chat.transcript" classname="hassock" time="0.004" file="chat.transcript">
            <properties>
                <property name="calls" value="31"/>
                <property name="cpu_seconds" value="0.002100"/>
                <property name="peak_memory_bytes" value="1363149"/>
                <property name="statements" value="9"/>
            </properties>
        </testcase>
        <testcase name="a.transcript" classname="hassock" time="0.004" file="a.transcript">
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
        <testcase name="b.transcript" classname="hassock" time="0.004" file="b.transcript">
            <error message="b.transcript:3:9: expected `&gt;` &amp; more" type="error">b.transcript:3:9: expected `&gt;` &amp; more</error>
        </testcase>
    </testsuite>
</testsuites>
"#;
    assert_eq!(xml(&[passed(), failed(), unreadable()]), expected);
}

#[test]
fn a_report_of_nothing_is_a_report() {
    assert!(xml(&[]).contains(r#"tests="0" skipped="0" failures="0" errors="0""#));
    let plain = Finished { cost: None, ..passed() };
    assert!(xml(&[plain]).contains(r#"time="0.004" file="chat.transcript"/>"#));
}

#[test]
fn characters_that_xml_cannot_express_are_replaced() {
    let strange = Finished { file: "a\u{1}\u{ffff}\"<b>é".to_owned(), ..passed() };
    let xml = xml(&[strange]);
    assert!(xml.contains("name=\"a\u{fffd}\u{fffd}&quot;&lt;b&gt;é\""), "{xml}");
}
