//! Which files are transcripts.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use super::TestsError;

/// The extension of a transcript's name.
const EXTENSION: &str = "transcript";

/// Folders with build results and dependencies, which are skipped even if no `.gitignore` names them.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// The transcripts below a folder, in the order of their names. Hidden files, and what a `.gitignore` names, are left
/// out; links are not followed, because they may lead in a circle.
///
/// # Errors
/// If there is none, or a folder cannot be read.
pub(super) fn transcripts(folder: &Path) -> Result<Vec<PathBuf>, TestsError> {
    // A `.gitignore` counts outside a repository too; what a user has ignored for all repositories does not.
    let mut walk = WalkBuilder::new(folder);
    walk.require_git(false).git_global(false).filter_entry(is_wanted);
    let mut found = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let path = entry.path();
        if path.extension() == Some(OsStr::new(EXTENSION)) && !is_folder(&entry) {
            found.push(entry.into_path());
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(TestsError::NoTranscripts(folder.to_owned())),
        false => Ok(found),
    }
}

fn is_wanted(entry: &DirEntry) -> bool {
    // The folder itself may have any name.
    entry.depth() == 0 || !is_folder(entry) || !SKIPPED.iter().any(|name| entry.file_name() == *name)
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

fn unreadable(folder: &Path, error: ignore::Error) -> TestsError {
    let text = error.to_string();
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(text));
    TestsError::Unreadable { file: folder.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn all_below_a_folder_are_found_but_not_in_what_was_built() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "b.transcript",
            "a/c.transcript",
            "a/.hidden.transcript",
            "a/draft.transcript",
            "a/folder.transcript/d.transcript",
            "target/d.transcript",
            "node_modules/d.transcript",
            ".git/e.transcript",
            "f.txt",
        ];
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        fs::write(folder.path().join(".gitignore"), "/a/draft*\n").unwrap();
        let found = transcripts(folder.path()).unwrap();
        let expected = ["a/c.transcript", "a/folder.transcript/d.transcript", "b.transcript"];
        assert_eq!(found, expected.map(|file| folder.path().join(file)));
        let around = transcripts(&folder.path().join(".git/..").join("target/..").join("a/.."));
        assert_eq!(around.unwrap().len(), 3);
        fs::create_dir(folder.path().join("empty")).unwrap();
        let error = transcripts(&folder.path().join("empty")).unwrap_err().to_string();
        assert!(error.contains("no transcript"), "{error}");
    }

    #[test]
    fn a_gitignore_counts_without_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".gitignore"), "*.transcript\n!kept.transcript\n").unwrap();
        for file in ["a.transcript", "kept.transcript"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        assert_eq!(transcripts(folder.path()).unwrap(), [folder.path().join("kept.transcript")]);
    }
}
