//! Tables, with their columns aligned.

use super::super::model::{Cell, Table};
use super::text::regex;

/// Wider cells do not push the others of their column to the right.
const WIDEST: usize = 40;

/// The lines of a table, each with the line end before it.
pub(super) fn table(table: &Table) -> String {
    let header: Vec<String> = table.columns.iter().map(|name| text(name)).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |(index, name): (usize, &String)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).chain([name]);
        cells.map(|cell| cell.chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or(3).max(3)
    };
    let widths: Vec<usize> = header.iter().enumerate().map(width).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    [header, rule].iter().chain(&rows).map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:width$} |"));
    format!("\n  |{}", cells.collect::<String>())
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Any => "${any}".to_owned(),
        Cell::Captured(name) => format!("${{{name}}}"),
        Cell::Regex(source) => regex_cell(&regex(source)),
        Cell::Exact(value) => text(value),
    }
}

/// A `|` ends a cell unless a backslash is before it; then the backslash is not part of the expression.
fn regex_cell(regex: &str) -> String {
    let mut written = String::new();
    let mut chars = regex.chars();
    while let Some(char) = chars.next() {
        match char {
            '|' => written.push_str("\\|"),
            '\\' => match chars.next() {
                // The only other way to write it.
                Some('|') => written.push_str("\\x7c"),
                Some(escaped) => written.extend([char, escaped]),
                None => written.push(char),
            },
            _ => written.push(char),
        }
    }
    written
}

fn text(value: &str) -> String {
    if value.is_empty() {
        return "\"\"".to_owned();
    }
    let like_empty = value == "\"\"";
    let mut written = String::new();
    let last = value.chars().count() - 1;
    for (index, char) in value.chars().enumerate() {
        let outermost = index == 0 || index == last;
        match char {
            '|' | '\\' => written.extend(['\\', char]),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            ' ' if outermost => written.push_str("\\s"),
            // What these begin with would be a placeholder, a regular expression or the empty text.
            '$' | '/' if index == 0 => written.extend(['\\', char]),
            '"' if index == 0 && like_empty => written.extend(['\\', char]),
            _ => written.push(char),
        }
    }
    written
}
