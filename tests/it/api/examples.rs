//! The lines of the README and the book with which other programs publish: each is run as it stands there.

use std::fs;
use std::process::Command;

use hassock_tests::markdown::blocks;
use hassock_tests::{Process, app, workspace};
use regex::Regex;

use super::*;

/// Where the examples say that the API is.
const EXAMPLE: &str = "127.0.0.1:8081";

/// The token of the examples.
const TOKEN: &str = "examples-0123456789abcdef";

/// The host of the examples.
async fn chat() -> Bench {
    let token = format!(
        "[api.tokens.shop]\ntoken = \"{TOKEN}\"\napps = [\"chat\"]\nscopes = [\"publish\", \"send\", \"close\", \"topics\", \"history\", \"presence\"]\n"
    );
    let config = format!("[api]\nlisten = \"127.0.0.1:0\"\n{token}{}", app("chat", &guest("probe")));
    let config = format!(
        "[databases.main]\nurl = \"sqlite::memory:\"\n{config}databases = {{ main = \"read-write\" }}\ntopics = {{ \"orders:*\" = {{ history = 100 }} }}\n"
    );
    Bench { host: TestHost::start(&config).await }
}

/// Run a program with an example.
async fn run(bench: &Bench, program: &[&str], example: &str) -> String {
    let (first, arguments) = program.split_first().unwrap();
    let mut command = Command::new(first);
    command.args(arguments).arg(example.replace(EXAMPLE, &bench.address())).env("SHOP_TOKEN", TOKEN);
    let finished = Process::start(command).ends().await;
    assert_eq!(finished.code, Some(0), "{example}: {finished:?}");
    finished.stdout
}

/// The program for a language, which takes the example as its last argument.
fn program(language: &str) -> Option<&'static [&'static str]> {
    match language {
        "sh" => Some(&["bash", "-euc"]),
        "php" => Some(&["php", "-r"]),
        "python" => Some(&["python3", "-c"]),
        _ => None,
    }
}

/// The examples of a document that publish.
fn examples(document: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(workspace().join(document)).unwrap();
    let all = blocks(&text).into_iter().filter(|block| block.text.contains(EXAMPLE));
    all.filter(|block| program(&block.language).is_some()).map(|block| (block.language, block.text)).collect()
}

/// Those of the README publish the same to `news`, in three languages, and the book has the same ones.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_readme_publish() {
    let bench = chat().await;
    let mut client = bench.host.connect("/chat?topic=news").await;
    let examples = examples("README.md");
    let languages: Vec<_> = examples.iter().map(|(language, _)| language.as_str()).collect();
    assert_eq!(languages, ["sh", "php", "python"]);
    for (language, example) in &examples {
        let code = example.trim_start_matches("<?php");
        run(&bench, program(language).unwrap(), code).await;
        assert_eq!(client.json().await, json!({ "headline": "It works" }), "{language}");
    }
    assert_eq!(examples[0].1.trim().lines().count(), 1, "curl is one line");
}

/// Each command line of the book's chapter succeeds, and prints what stands below it.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_book_print_what_it_says() {
    let bench = chat().await;
    let mut client = bench.host.connect("/chat?topic=news").await;
    let id = id_of(&mut client).await;
    let text = fs::read_to_string(workspace().join("host/book/src/api.md")).unwrap();
    let console: Vec<_> = blocks(&text).into_iter().filter(|block| block.language == "console").collect();
    // Positions differ from run to run.
    let position = Regex::new("[0-9a-f]+-[0-9]+\"").unwrap();
    let mut run_lines = 0;
    for block in console.iter().filter(|block| block.text.contains(EXAMPLE)) {
        let commands = block.text.replace("/17/", &format!("/{id}/")).replace(":17", &format!(":{id}"));
        for part in commands.split("$ ").skip(1) {
            let lines: Vec<_> = part.lines().collect();
            // A command goes on within quotes.
            let is_whole = |end: &usize| lines[..=*end].join("").matches('\'').count() % 2 == 0;
            let end = (0..lines.len()).find(is_whole).unwrap();
            let printed = run(&bench, program("sh").unwrap(), &lines[..=end].join("\n")).await;
            let any = |text: &str| position.replace_all(text.trim_end(), "POSITION").into_owned();
            assert_eq!(any(&printed), any(&lines[end + 1..].join("\n")), "{part}");
            run_lines += 1;
        }
    }
    assert!(run_lines >= 7, "{run_lines}");
}
