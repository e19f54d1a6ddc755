//! The examples of the book's chapter.

use std::fs;
use std::process::Command;

use hassock_tests::markdown::blocks;
use hassock_tests::{Process, workspace};

use super::*;

/// The function in PHP makes a token that the config of the chapter accepts.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_php_has_made_is_accepted() {
    let text = fs::read_to_string(workspace().join("host/book/src/authentication.md")).unwrap();
    let block = |language: &str| {
        let found = blocks(&text).into_iter().find(|block| block.language == language);
        found.unwrap_or_else(|| panic!("the chapter has no {language}")).text
    };
    let table = block("toml");
    let (_, table) = table.split_once("[apps.chat.auth]\n").unwrap();
    let host = host(&table.replace("${JWT_SECRET}", SECRET)).await;
    let code = block("php") + "echo hassock_token('42');";
    let mut command = Command::new("php");
    command.args(["-r", code.trim_start_matches("<?php")]).env("JWT_SECRET", SECRET);
    let finished = Process::start(command).ends().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let said = claims(&host, &finished.stdout).await;
    assert_eq!((&said["sub"], &said["aud"]), (&json!("42"), &json!("chat")));
    let left = said["exp"].as_u64().unwrap() - hassock_tests::tokens::seconds();
    assert!((290..=300).contains(&left), "{left}");
}
