//! Reading documentation: its code blocks, its links and its headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence, such as `rust`.
    pub language: String,
    /// The comments directly above it, without `<!--` and `-->`.
    pub marks: Vec<String>,
    /// The lines between the fences.
    pub text: String,
    /// The line of the opening fence, counted from 1.
    pub line: usize,
}

impl Block {
    /// The file that the block is an excerpt of, if it is marked with `<!-- from PATH -->`.
    pub fn source(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| mark.strip_prefix("from "))
    }

    /// Whether it is marked with `<!-- MARK -->`.
    pub fn is_marked(&self, mark: &str) -> bool {
        self.marks.iter().any(|own| own == mark)
    }
}

/// The code blocks of a text, in order. A block that is not closed ends with the text.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut marks) = (Vec::new(), Vec::new());
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => block.text.extend([line, "\n"]),
            (None, Some(language)) => {
                let language = language.trim().to_owned();
                let marks = std::mem::take(&mut marks);
                open = Some(Block { language, marks, text: String::new(), line: index + 1 });
            }
            (None, None) if line.trim().is_empty() => {}
            (None, None) => match line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
                Some(mark) => marks.push(mark.to_owned()),
                None => marks.clear(),
            },
        }
    }
    blocks.extend(open);
    blocks
}

/// The targets of all links and images outside of code.
pub fn links(text: &str) -> Vec<String> {
    let prose = without_code(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of all headings, as GitHub and mdBook name them.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in without_blocks(text).lines().filter(|line| line.starts_with('#')) {
        let anchor = anchor(heading.trim_start_matches('#'));
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(numbered).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|char| match char {
        ' ' => Some('-'),
        '-' | '_' => Some(char),
        _ => char.is_alphanumeric().then(|| char.to_ascii_lowercase()),
    });
    kept.collect()
}

fn without_code(text: &str) -> String {
    let text = without_blocks(text);
    // Code is between two backticks, so the parts with even numbers are outside of it.
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn without_blocks(text: &str) -> String {
    let mut is_code = false;
    let is_prose = |line: &&str| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().filter(is_prose).collect::<Vec<_>>().join("\n")
}

/// The blocks of a text that are marked as excerpts of a file of `root`, but are not in it.
pub fn false_excerpts(text: &str, root: &Path) -> Vec<Block> {
    let is_false = |block: &Block| match block.source() {
        Some(path) => !stands_in(&block.text, &fs::read_to_string(root.join(path)).unwrap_or_default()),
        None => false,
    };
    blocks(text).into_iter().filter(is_false).collect()
}

/// Whether code is in a file: the same lines in the same order, except for what lines `// …` leave out. Indentation
/// does not matter. The code may also be an example in the file's documentation, without its hidden lines.
fn stands_in(code: &str, file: &str) -> bool {
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    let documentation: Vec<&str> = file.lines().filter_map(documentation).collect();
    let code: Vec<&str> = code.lines().map(str::trim).collect();
    let pieces: Vec<&[&str]> = code.split(|line| *line == "// …").map(trimmed).collect();
    pieces.iter().any(|piece| !piece.is_empty()) && [lines, documentation].iter().any(|file| follow(&pieces, file))
}

/// The content of a line of documentation, unless it is hidden in an example.
fn documentation(line: &str) -> Option<&str> {
    let line = line.trim();
    let content = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))?.trim();
    (content != "#" && !content.starts_with("# ")).then_some(content)
}

/// Without the empty lines at both ends.
fn trimmed<'a, 'b>(mut lines: &'b [&'a str]) -> &'b [&'a str] {
    while let [rest @ .., ""] | ["", rest @ ..] = lines {
        lines = rest;
    }
    lines
}

/// Whether the pieces stand in the lines, one after the other.
fn follow(pieces: &[&[&str]], mut lines: &[&str]) -> bool {
    pieces.iter().filter(|piece| !piece.is_empty()).all(|piece| {
        let found = lines.windows(piece.len()).position(|window| window == *piece);
        lines = found.map_or(&[], |at| &lines[at + piece.len()..]);
        found.is_some()
    })
}
