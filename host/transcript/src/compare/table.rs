//! Rows of a database against a table.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Captures, Mismatch};
use crate::backend::Rows;
use crate::format::{Cell, Table};

/// No value, as SQL writes it.
const NULL: &str = "NULL";

/// Compare rows: the same columns and the same rows, in the same order.
///
/// # Errors
/// If they differ.
pub fn table(expected: &Table, got: &Rows, captures: &Captures) -> Result<(), Mismatch> {
    let same_rows = expected.rows.len() == got.rows.len()
        && expected.rows.iter().zip(&got.rows).all(|(expected, got)| row_matches(expected, got, captures));
    if expected.columns == got.columns && same_rows {
        return Ok(());
    }
    let resolved: Vec<Vec<String>> =
        expected.rows.iter().enumerate().map(|(at, row)| resolve(row, got.rows.get(at), captures)).collect();
    let widths = widths([&expected.columns, &got.columns].into_iter().chain(&resolved).chain(&got.rows));
    Err(Mismatch::new(
        aligned(&expected.columns, &resolved, &widths),
        match got.columns.is_empty() && got.rows.is_empty() {
            true => "no rows, and no columns: the statement is not a query".to_owned(),
            false => aligned(&got.columns, &got.rows, &widths),
        },
    ))
}

/// Whether a value is what a cell expects.
pub fn cell_matches(expected: &Cell, got: &str, captures: &Captures) -> bool {
    match expected {
        Cell::Exact(expected) => empty(expected) == empty(got),
        Cell::Any => true,
        Cell::Regex(regex) => regex.0.is_match(got),
        Cell::Captured(name) => captures.get(name).is_some_and(|value| value_cell(value) == got),
    }
}

/// How a table shows a text: as it is, unless it would look like no value, or like this form of another text.
pub fn text_cell(text: &str) -> Cow<'_, str> {
    let in_quotes = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    match text == NULL || in_quotes {
        true => Cow::Owned(Json::from(text).to_string()),
        false => Cow::Borrowed(text),
    }
}

/// How a table shows a value that was captured.
fn value_cell(value: &Json) -> Cow<'_, str> {
    match value {
        Json::Null => Cow::Borrowed(NULL),
        Json::String(text) => text_cell(text),
        // As a database's floats are shown, without an exponent.
        Json::Number(number) if number.is_f64() => {
            Cow::Owned(number.as_f64().map_or_else(|| number.to_string(), |float| float.to_string()))
        }
        other => Cow::Owned(other.to_string()),
    }
}

fn row_matches(expected: &[Cell], got: &[String], captures: &Captures) -> bool {
    expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| cell_matches(expected, got, captures))
}

/// `""` is how a table shows the empty text.
fn empty(text: &str) -> &str {
    match text {
        r#""""# => "",
        other => other,
    }
}

/// The cells as texts, those that match as what came.
fn resolve(row: &[Cell], got: Option<&Vec<String>>, captures: &Captures) -> Vec<String> {
    let got = |at: usize| got.and_then(|got| got.get(at));
    let cell = |(at, cell): (usize, &Cell)| match got(at).filter(|got| cell_matches(cell, got, captures)) {
        Some(got) => got.clone(),
        None => show(cell, captures),
    };
    row.iter().enumerate().map(cell).collect()
}

fn show(cell: &Cell, captures: &Captures) -> String {
    match cell {
        Cell::Exact(text) => text.clone(),
        Cell::Any => "${any}".to_owned(),
        Cell::Regex(regex) => format!("/{}/", regex.0.as_str()),
        // The value is what differs.
        Cell::Captured(name) => {
            captures.get(name).map_or_else(|| format!("${{{name}}}"), |value| value_cell(value).into_owned())
        }
    }
}

fn widths<'a>(rows: impl Iterator<Item = &'a Vec<String>>) -> Vec<usize> {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(one_line(cell).chars().count());
        }
    }
    widths
}

/// Both tables have the same widths, so that rows that are the same look the same.
fn aligned(columns: &[String], rows: &[Vec<String>], widths: &[usize]) -> String {
    let rows = rows.iter().map(|row| line(row, widths));
    std::iter::once(line(columns, widths)).chain(rows).collect::<Vec<_>>().join("\n")
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!(" {:<width$} |", one_line(cell)));
    format!("|{}", cells.collect::<String>())
}

fn one_line(cell: &str) -> String {
    match cell {
        "" => r#""""#.to_owned(),
        cell => cell.replace('\\', r"\\").replace('\n', r"\n").replace('|', r"\|"),
    }
}
