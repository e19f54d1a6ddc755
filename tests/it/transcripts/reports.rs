//! Reports for programs: `--json` and `--junit`.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use hassock_tests::{Process, binary, cache};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value as Json;

use super::{Folder, assert_said};

/// One that passes, one that fails with characters that XML cannot have, and one that cannot be played.
fn folder() -> Folder {
    let folder = Folder::guest("probe");
    folder.put("good.transcript", "connect a /\na > x\na < x\n");
    folder.put("bad.transcript", "connect a /\na > text \"<&\\\"\\u0001>\"\na < ]]>\n");
    folder.put("broken.transcript", "connect a\n");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_an_object_for_each_transcript_and_nothing_else() {
    let finished = folder().test("probe.wasm --json").await;
    assert_said(&finished, 2, &[]);
    assert!(!finished.stderr.contains("loading"), "{}", finished.stderr);
    let objects: Vec<Json> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| {
        let file = format!("./{name}.transcript");
        objects
            .iter()
            .find(|object| object["file"] == file.as_str())
            .unwrap_or_else(|| panic!("no {name}: {objects:?}"))
    };
    assert_eq!(objects.len(), 3);
    let good = named("good");
    assert_eq!(
        (good["outcome"].as_str(), good["line"].as_u64(), good["steps"].as_u64()),
        (Some("passed"), None, Some(3))
    );
    assert_eq!((good["cost"]["calls"].as_u64(), good["cost"]["statements"].as_u64()), (Some(2), Some(0)));
    assert!(good["seconds"].as_f64().unwrap() > 0.0);
    let bad = named("bad");
    assert_eq!((bad["outcome"].as_str(), bad["line"].as_u64()), (Some("failed"), Some(3)));
    assert_eq!(
        (bad["expected"].as_str(), bad["message"].as_str()),
        (Some("]]>"), Some("`a` got another message than expected"))
    );
    assert!(bad["got"].as_str().unwrap().contains("<&"));
    let broken = named("broken");
    assert_eq!(
        (broken["outcome"].as_str(), broken["line"].as_u64(), broken["cost"].is_null()),
        (Some("error"), Some(1), true)
    );
}

fn attributes(element: &BytesStart<'_>) -> BTreeMap<String, String> {
    let attribute = |attribute: quick_xml::events::attributes::Attribute<'_>| {
        (attribute.key.as_ref().to_owned(), attribute.value.into_owned())
    };
    element.attributes().map(|found| attribute(found.unwrap())).collect()
}

/// The elements of a document with their attributes, in order. It has to be well-formed.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut reader = Reader::from_str(xml);
    let (mut elements, mut depth) = (Vec::new(), 0_i32);
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error}\n{xml}"));
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name().as_ref().to_owned();
                elements.push((name, attributes(element)));
            }
            Event::Eof => break,
            _ => {}
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "{xml}");
    elements
}

#[tokio::test(flavor = "multi_thread")]
async fn junit_has_a_test_case_for_each_transcript() {
    let folder = folder();
    assert_said(&folder.test("probe.wasm --junit report.xml").await, 2, &["1 passed, 1 failed, 1 could not be played"]);
    let xml = folder.text("report.xml");
    assert!(!xml.contains('\u{1}'), "{xml}");
    let elements = elements(&xml);
    let all = |name: &str| elements.iter().filter(|(found, _)| found == name).map(|(_, all)| all).collect::<Vec<_>>();
    for totals in [all("testsuites")[0], all("testsuite")[0]] {
        assert_eq!([&totals["tests"], &totals["failures"], &totals["errors"]], ["3", "1", "1"], "{xml}");
    }
    let cases: Vec<_> = all("testcase").iter().map(|case| case["name"].as_str()).collect();
    assert_eq!(cases, ["./bad.transcript", "./broken.transcript", "./good.transcript"]);
    assert_eq!(all("failure")[0]["message"], "`a` got another message than expected");
    assert!(all("error")[0]["message"].contains("./broken.transcript:1:10: "), "{xml}");
    assert!(xml.contains("./bad.transcript:3: "), "{xml}");
    assert_eq!(all("property").iter().filter(|property| property["name"] == "calls").count(), 2);
}

/// `hassock test … | head`: the exit code and the report are the same.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_what_is_printed() {
    for option in ["--no-build", "--json"] {
        let folder = folder();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(binary());
        command.args(["test", "probe.wasm", option, "--junit", "report.xml"]).current_dir(folder.0.path());
        command.env("CACHE_DIRECTORY", cache()).stdout(writer).stderr(Stdio::piped());
        let finished = Process::start_as_is(command).ends().await;
        assert_said(&finished, 2, &["1 transcript could not be played"]);
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        assert_eq!(elements(&folder.text("report.xml")).iter().filter(|(name, _)| name == "testcase").count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_at_once_and_a_report_that_cannot_be_written() {
    let folder = Folder::guest("probe").with("x.transcript", "connect a /\n");
    let finished = folder.test("probe.wasm --json --junit report.xml").await;
    assert_said(&finished, 0, &["\"outcome\":\"passed\""]);
    assert_eq!(elements(&folder.text("report.xml")).iter().filter(|(name, _)| name == "testcase").count(), 1);
    let said = "cannot write the report nowhere/report.xml: No such file or directory";
    assert_said(&folder.test("probe.wasm --junit nowhere/report.xml").await, 2, &[said]);
}
