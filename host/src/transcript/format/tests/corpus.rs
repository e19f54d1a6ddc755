//! The texts that fuzzing begins with, which have an example of everything.

use std::fs;
use std::path::Path;

use super::super::{Action, Transcript, parse, write};
use super::{read, without_lines};

fn corpus() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/transcript");
    let files = fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path());
    let named = |path: std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a text"))
    };
    files.map(named).collect()
}

fn right() -> impl Iterator<Item = (String, Transcript)> {
    corpus().into_iter().filter(|(name, _)| !name.starts_with("wrong-")).map(|(name, text)| (name, read(&text)))
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
fn what_was_read_is_the_same_after_it_was_written_and_read_again() {
    for (name, transcript) in right() {
        let written = write(&transcript);
        assert_eq!(without_lines(read(&written)), without_lines(transcript), "{name}, written as:\n{written}");
    }
}

#[test]
fn there_is_a_step_of_each_kind() {
    let kinds = [
        "Connect",
        "Send",
        "Expect",
        "Nothing",
        "Skip",
        "Disconnect",
        "Vanish",
        "Closed",
        "Sql",
        "Script",
        "Advance",
        "Swap",
        "Fail",
        "Set",
    ];
    let actions: Vec<Action> = right().flat_map(|(_, file)| file.steps).map(|step| step.action).collect();
    for kind in kinds {
        assert!(actions.iter().any(|action| format!("{action:?}").starts_with(kind)), "no {kind}");
    }
}
