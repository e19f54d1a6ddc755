//! Rows of a database against a table.

use super::Mismatch;
use crate::transcript::format::{Cell, Table};
use crate::transcript::stage::Rows;

/// Compare rows: the same columns and the same rows, in the same order.
///
/// # Errors
/// If they differ.
pub fn table(expected: &Table, got: &Rows) -> Result<(), Mismatch> {
    let same_rows = expected.rows.len() == got.rows.len()
        && expected.rows.iter().zip(&got.rows).all(|(expected, got)| row_matches(expected, got));
    if expected.columns == got.columns && same_rows {
        return Ok(());
    }
    let resolved: Vec<Vec<String>> =
        expected.rows.iter().enumerate().map(|(at, row)| resolve(row, got.rows.get(at))).collect();
    let widths = widths([&expected.columns, &got.columns].into_iter().chain(&resolved).chain(&got.rows));
    Err(Mismatch::new(
        aligned(&expected.columns, &resolved, &widths),
        match got.columns.is_empty() && got.rows.is_empty() {
            true => "no rows, and no columns: the statement is no query".to_owned(),
            false => aligned(&got.columns, &got.rows, &widths),
        },
    ))
}

/// Whether a value is what a cell expects.
pub fn cell_matches(expected: &Cell, got: &str) -> bool {
    match expected {
        Cell::Exact(expected) => empty(expected) == empty(got),
        Cell::Any => true,
        Cell::Regex(regex) => regex.0.is_match(got),
    }
}

fn row_matches(expected: &[Cell], got: &[String]) -> bool {
    expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| cell_matches(expected, got))
}

/// `""` is how a table shows the empty text.
fn empty(text: &str) -> &str {
    match text {
        r#""""# => "",
        other => other,
    }
}

/// The cells as texts, those that match as what came.
fn resolve(row: &[Cell], got: Option<&Vec<String>>) -> Vec<String> {
    let got = |at: usize| got.and_then(|got| got.get(at));
    let cell = |(at, cell): (usize, &Cell)| match got(at).filter(|got| cell_matches(cell, got)) {
        Some(got) => got.clone(),
        None => show(cell),
    };
    row.iter().enumerate().map(cell).collect()
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Exact(text) => text.clone(),
        Cell::Any => "${any}".to_owned(),
        Cell::Regex(regex) => format!("/{}/", regex.0.as_str()),
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
