//! Results in the format of JUnit, which CI systems read.

use std::io::{self, Write};
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::diff::Style;
use super::play::Failure;
use super::report::{self, Finished, Verdict};
use super::stage::Cost;

#[cfg(test)]
mod tests;

/// What the report calls all transcripts together, and each of them the class of its test case.
const SUITE: &str = "hassock";

/// Write a report: each transcript is a test case.
///
/// # Errors
/// If it cannot be written.
pub fn write(results: &[Finished], time: Duration, to: impl Write) -> io::Result<()> {
    let tests = results.len().to_string();
    let failures = count(results, |verdict| matches!(verdict, Verdict::Failed(_)));
    let errors = count(results, |verdict| matches!(verdict, Verdict::Error { .. }));
    let time = seconds(time);
    let totals =
        [("tests", tests.as_str()), ("failures", &failures), ("errors", &errors), ("skipped", "0"), ("time", &time)];
    let mut writer = Writer::new_with_indent(to, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites").with_attribute(("name", SUITE)).with_attributes(totals);
    suites.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", SUITE)).with_attributes(totals);
        match results {
            [] => suite.write_empty()?,
            results => {
                suite.write_inner_content(|writer| results.iter().try_for_each(|result| case(writer, result)))?
            }
        };
        Ok(())
    })?;
    writer.into_inner().write_all(b"\n")
}

fn case<W: Write>(writer: &mut Writer<W>, result: &Finished) -> io::Result<()> {
    let (file, time) = (clean(&result.file), seconds(result.time));
    let attributes = [("name", file.as_str()), ("classname", SUITE), ("file", &file), ("time", &time)];
    let case = writer.create_element("testcase").with_attributes(attributes);
    if result.cost.is_none() && matches!(result.verdict, Verdict::Passed) {
        return case.write_empty().map(|_| ());
    }
    case.write_inner_content(|writer| {
        if let Some(cost) = &result.cost {
            properties(writer, cost)?;
        }
        match &result.verdict {
            Verdict::Passed => Ok(()),
            Verdict::Failed(failure) => failed(writer, result, failure),
            Verdict::Error { .. } => {
                let message = report::sentence(result);
                problem(writer, "error", "error", &message, &message)
            }
        }
    })?;
    Ok(())
}

fn failed<W: Write>(writer: &mut Writer<W>, result: &Finished, failure: &Failure) -> io::Result<()> {
    problem(writer, "failure", "mismatch", &failure.reason.to_string(), &report::failure(result, Style::Plain))
}

fn problem<W: Write>(writer: &mut Writer<W>, element: &str, kind: &str, message: &str, text: &str) -> io::Result<()> {
    let message = clean(message);
    let element = writer.create_element(element).with_attributes([("message", message.as_str()), ("type", kind)]);
    element.write_text_content(BytesText::new(&clean(text)))?;
    Ok(())
}

fn properties<W: Write>(writer: &mut Writer<W>, cost: &Cost) -> io::Result<()> {
    let figures = [
        ("calls", cost.calls.to_string()),
        ("cpu_seconds", seconds(cost.cpu_time)),
        ("peak_memory_bytes", cost.peak_memory.to_string()),
        ("statements", cost.statements.to_string()),
    ];
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in &figures {
            let property = writer.create_element("property");
            property.with_attributes([("name", *name), ("value", value)]).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn count(results: &[Finished], wanted: impl Fn(&Verdict) -> bool) -> String {
    results.iter().filter(|result| wanted(&result.verdict)).count().to_string()
}

fn seconds(time: Duration) -> String {
    format!("{:.6}", time.as_secs_f64())
}

/// XML has no words at all for some characters, not even escaped ones.
fn clean(text: &str) -> String {
    let legal = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
