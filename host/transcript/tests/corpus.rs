//! The texts with which fuzzing begins: they have an example of everything, and each has all properties that the
//! fuzz target checks. `host/fuzz/run` looks for further texts.
#![allow(clippy::panic, reason = "this is what a failed test does")]

mod properties;

use std::fs;
use std::path::{Path, PathBuf};

use hassock_transcript::format::{Action, parse};

/// Each file with its text.
fn corpus() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/transcript");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text)
    };
    files.filter_map(|file| Some(read(file.ok()?.path()))).collect()
}

#[test]
fn files_are_right_unless_their_name_says_that_they_are_wrong() {
    let corpus = corpus();
    assert!(corpus.len() >= 30, "{} files", corpus.len());
    for (name, text) in corpus {
        assert_eq!(parse(&text).is_err(), name.starts_with("wrong-"), "{name}: {:?}", parse(&text));
    }
}

#[test]
fn each_file_has_all_properties() {
    corpus().iter().for_each(|(_, text)| properties::check(text));
}

/// A fixed part of what fuzzing tries at random: files that end early, and files without one of their bytes.
#[test]
fn each_file_that_is_damaged_has_all_properties() {
    for (_, text) in corpus() {
        for (at, char) in text.char_indices() {
            properties::check(&text[..at]);
            properties::check(&[&text[..at], &text[at + char.len_utf8()..]].concat());
        }
    }
}

#[test]
fn there_is_a_step_of_each_kind() {
    let kinds = [
        "Connect",
        "Return",
        "Say",
        "Hear",
        "Publish",
        "Send",
        "Expect",
        "Nothing",
        "Skip",
        "Disconnect",
        "Vanish",
        "Closed",
        "Failed",
        "Sql",
        "Script",
        "Advance",
        "Swap",
        "Fail(",
        "Set",
    ];
    let right = corpus().into_iter().filter(|(name, _)| !name.starts_with("wrong-"));
    let steps = right.flat_map(|(_, text)| parse(&text).expect("a transcript").steps);
    let actions: Vec<Action> = steps.map(|step| step.action).collect();
    for kind in kinds {
        assert!(actions.iter().any(|action| format!("{action:?}").starts_with(kind)), "no {kind}");
    }
}
