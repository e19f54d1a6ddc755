//! What the book and the README say is true: links lead to files and headings, and code blocks are code that works.
//!
//! Each check is a function that returns what is wrong with a document, and each test first shows it a document that
//! is wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use hassock::cli::Cli;
use hassock::config::Config;
use hassock_tests::markdown::{Block, anchors, blocks, false_excerpts, links};
use hassock_tests::workspace;
use hassock_transcript::format::parse as parse_transcript;

/// The chapters of the book.
const BOOK: &str = "host/book/src";

/// Other documents with links that are checked, if they exist.
const OTHERS: [&str; 4] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "host/ARCHITECTURE.md"];

/// Where tests are.
const SOURCES: [&str; 5] = ["host/src", "host/frames", "host/transcript", "guest-sdk/src", "tests/it"];

struct Document {
    /// Relative to the top of the repository.
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(workspace().join(&path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self { path, text }
    }

    /// A document that is wrong on purpose, beside the chapters.
    fn example(text: &str) -> Self {
        Self { path: Path::new(BOOK).join("guide.md"), text: text.to_owned() }
    }

    /// What is wrong with each block of a language.
    fn check(&self, language: &str, check: impl Fn(&Block) -> Result<(), String>) -> Vec<String> {
        let blocks = blocks(&self.text).into_iter().filter(|block| block.language == language);
        let wrong = |block: Block| {
            let Err(error) = check(&block) else { return None };
            Some(format!("{}:{}: {error}", self.path.display(), block.line))
        };
        blocks.filter_map(wrong).collect()
    }
}

fn chapters() -> BTreeSet<PathBuf> {
    let all = fs::read_dir(workspace().join(BOOK)).unwrap().map(|entry| entry.unwrap().file_name());
    let files = all.map(|name| Path::new(BOOK).join(name));
    files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The documents with code blocks that are checked.
fn documents() -> Vec<Document> {
    chapters().into_iter().chain([PathBuf::from("README.md")]).map(Document::read).collect()
}

fn broken_links(document: &Document) -> Vec<String> {
    let folder = workspace().join(document.path.parent().unwrap());
    let is_relative = |link: &String| !link.contains("://") && !link.starts_with("mailto:");
    let problem = |link: String| {
        let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = match file {
            "" => workspace().join(&document.path),
            file => folder.join(file),
        };
        let text = match file {
            "" => document.text.clone(),
            _ => fs::read_to_string(&target).unwrap_or_default(),
        };
        let is_good = target.exists() && (anchor.is_empty() || anchors(&text).contains(anchor));
        (!is_good).then(|| format!("{}: {link}", document.path.display()))
    };
    links(&document.text).into_iter().filter(is_relative).filter_map(problem).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let right = "[a](guide.md) [b](guide.md#timers) ![c](../book.toml) [d](#here) [e](https://x.example/y#z)\n# Here\n";
    assert_eq!(broken_links(&Document::example(right)), [""; 0]);
    for (part, wrong) in
        [("(guide.md)", "(gide.md)"), ("#timers", "#tmers"), ("(#here)", "(#there)"), ("book.toml", "x")]
    {
        assert_eq!(broken_links(&Document::example(&right.replace(part, wrong))).len(), 1, "{wrong}");
    }
    let others = OTHERS.iter().map(PathBuf::from).filter(|path| workspace().join(path).is_file());
    let all: Vec<_> = chapters().into_iter().chain(others).map(Document::read).collect();
    assert!(all.iter().any(|document| !links(&document.text).is_empty()), "there is no link to check");
    let broken: Vec<_> = all.iter().flat_map(broken_links).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_summary_lists_every_chapter_and_nothing_else() {
    let summary = Path::new(BOOK).join("SUMMARY.md");
    let listed = links(&Document::read(&summary).text);
    let paths: BTreeSet<_> = listed.iter().map(|link| Path::new(BOOK).join(link)).collect();
    assert_eq!(paths.len(), listed.len(), "a chapter is listed twice");
    let mut expected = chapters();
    assert!(expected.remove(&summary));
    assert_eq!(paths, expected);
}

/// Whether a test takes the block from the document, by its first words, to compile and run it. The block is marked
/// with `<!-- tested in PATH -->`.
fn is_used_by_a_test(block: &Block) -> bool {
    let test = block.marks.iter().find_map(|mark| mark.strip_prefix("tested in "));
    let source = test.and_then(|path| fs::read_to_string(workspace().join(path)).ok()).unwrap_or_default();
    let first = block.text.lines().next().unwrap_or_default();
    // The texts between quotation marks in the test.
    source.split('"').any(|words| words.len() > 10 && first.starts_with(words))
}

/// Files that are quoted are compiled and tested elsewhere, so what is quoted works.
fn unproven_rust(document: &Document) -> Vec<String> {
    let unmarked = document.check("rust", |block| {
        let is_proven = block.source().is_some() || is_used_by_a_test(block);
        is_proven.then_some(()).ok_or_else(|| "mark the block with `<!-- from PATH -->`".to_owned())
    });
    let wrong = false_excerpts(&document.text, &workspace());
    let wrong = wrong.iter().map(|block| format!("{}:{}: not in the file", document.path.display(), block.line));
    unmarked.into_iter().chain(wrong).collect()
}

#[test]
fn every_rust_block_is_an_excerpt_of_a_file() {
    let right = "<!-- from examples-wasm/echo/src/lib.rs -->\n\n```rust\nimpl Handler for Echo {\n// …\n  connection.send(message)\n```\n";
    assert_eq!(unproven_rust(&Document::example(right)), [""; 0]);
    for (part, wrong) in [
        ("for Echo", "for Ohce"),
        ("send(message)", "send(mess)"),
        ("echo/src", "nowhere/src"),
        ("<!-- from", "text <!-- from"),
        ("impl Handler for Echo {\n// …\n  connection.send(message)\n", "// …\n"),
        (
            "impl Handler for Echo {\n// …\n  connection.send(message)",
            "connection.send(message)\n// …\nimpl Handler for Echo {",
        ),
    ] {
        assert_eq!(unproven_rust(&Document::example(&right.replace(part, wrong))).len(), 1, "{wrong}");
    }
    // The example in the documentation of a function, without its hidden lines.
    let documentation =
        "<!-- from guest-sdk/src/topics.rs -->\n```rust\nconnection.send_json(&prices)?;\nOk(Acceptance::new())\n```\n";
    assert_eq!(unproven_rust(&Document::example(documentation)), [""; 0]);
    let tested = "<!-- tested in tests/it/commands/new.rs -->\n```rust\n        if text.len() > 3 {}\n```\n";
    assert_eq!(unproven_rust(&Document::example(tested)), [""; 0]);
    assert_eq!(unproven_rust(&Document::example(&tested.replace("text.len", "txt.len"))).len(), 1);
    check_all("rust", unproven_rust);
}

fn invalid_configs(document: &Document) -> Vec<String> {
    document.check("toml", |block| {
        if block.is_marked("not a config") {
            return Ok(());
        }
        let text = block.text.replace("${DB_PASSWORD}", "secret").replace("${SHOP_TOKEN}", "secret");
        let text = text.replace("${JWT_SECRET}", &"secret".repeat(6));
        let parsed = Config::parse(&workspace().join(&document.path), &text);
        parsed.map(drop).map_err(|problems| problems.to_string())
    })
}

#[test]
fn every_toml_block_is_a_config_that_the_host_accepts() {
    let right = "```toml\n[apps.chat]\npath = \"/chat\"\nmodule = \"chat.wasm\"\n```\n";
    assert_eq!(invalid_configs(&Document::example(right)), [""; 0]);
    let wrong = right.replace("module", "modul");
    assert_eq!(invalid_configs(&Document::example(&wrong)).len(), 1);
    assert_eq!(invalid_configs(&Document::example(&format!("<!-- not a config -->\n{wrong}"))), [""; 0]);
    check_all("toml", invalid_configs);
}

fn invalid_transcripts(document: &Document) -> Vec<String> {
    document.check("transcript", |block| parse_transcript(&block.text).map(drop).map_err(|error| error.to_string()))
}

#[test]
fn every_transcript_block_can_be_parsed() {
    let right = "```transcript\nconnect alice /chat\nalice > hi\n```\n";
    assert_eq!(invalid_transcripts(&Document::example(right)), [""; 0]);
    assert_eq!(invalid_transcripts(&Document::example(&right.replace("connect", "conect"))).len(), 1);
    check_all("transcript", invalid_transcripts);
}

fn invalid_commands(document: &Document) -> Vec<String> {
    let check = |lines: Vec<&str>| {
        lines.into_iter().flat_map(|line| line.split("&&")).filter_map(arguments).try_for_each(accepts)
    };
    let shell = document.check("sh", |block| check(block.text.lines().collect()));
    let console = document
        .check("console", |block| check(block.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect()));
    shell.into_iter().chain(console).collect()
}

/// The arguments of a command line that runs `hassock`, by name or through cargo. None for other command lines.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let is_variable = |word: &&str| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let words: Vec<_> = line.split_whitespace().skip_while(is_variable).collect();
    match words.as_slice() {
        ["hassock", arguments @ ..] | ["cargo", "run", "--release", "--", arguments @ ..] => Some(arguments.to_vec()),
        _ => None,
    }
}

/// Whether the command line's definition accepts them.
fn accepts(arguments: Vec<&str>) -> Result<(), String> {
    let line = [vec!["hassock"], arguments].concat();
    match Cli::try_parse_from(&line) {
        // A help text is not a mistake.
        Err(error) if error.exit_code() != 0 => Err(format!("`{}`: {error}", line.join(" "))),
        _ => Ok(()),
    }
}

#[test]
fn every_hassock_command_is_accepted_by_the_command_line() {
    let right = "```sh\nPASSWORD=x hassock serve --config a.toml\ncargo run --release -- dev chat\nls --bogus\n```\n\
        ```console\n$ cd x && hassock module list\nhassock is not called here --bogus\n```\n";
    assert_eq!(invalid_commands(&Document::example(right)), [""; 0]);
    for (part, wrong) in [("serve --config", "serve --confg"), ("dev chat", "dv chat"), ("module list", "module lst")] {
        assert_eq!(invalid_commands(&Document::example(&right.replace(part, wrong))).len(), 1, "{wrong}");
    }
    check_all("sh", invalid_commands);
}

/// Check all documents. A language without any block would make the check worthless.
/// The tests that the last column of a table names and that do not exist.
fn missing_tests(document: &Document, sources: &str) -> Vec<String> {
    let rows = document.text.lines().filter(|line| line.starts_with('|'));
    let last_cells = rows.filter_map(|row| row.trim_end_matches(['|', ' ']).rsplit('|').next());
    let names = last_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.filter(|name| !sources.contains(&format!("fn {name}("))).map(str::to_owned).collect()
}

fn rust_files(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            rust_files(&entry, text);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&entry).unwrap());
        }
    }
}

#[test]
fn every_test_of_the_threat_model_exists() {
    let wrong = Document::example("| a | b | `there`, `not_there` |\n| a | `not_a_test` | none |");
    assert_eq!(missing_tests(&wrong, "fn there() {}"), ["not_there"]);
    let mut sources = String::new();
    SOURCES.iter().for_each(|folder| rust_files(&workspace().join(folder), &mut sources));
    let security = Document::read("SECURITY.md");
    assert!(security.text.matches("`a_").count() > 20, "the tables are not read");
    assert_eq!(missing_tests(&security, &sources), [""; 0]);
}

fn check_all(language: &str, check: impl Fn(&Document) -> Vec<String>) {
    let documents = documents();
    let has_blocks = |document: &Document| blocks(&document.text).iter().any(|block| block.language == language);
    assert!(documents.iter().any(has_blocks), "there is no {language} block to check");
    let wrong: Vec<_> = documents.iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
