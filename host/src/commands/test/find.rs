//! Which files are transcripts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::TestsError;

/// How the name of a transcript ends.
const EXTENSION: &str = "transcript";

/// Folders that nobody writes transcripts into.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// The transcripts below a folder, in the order of their names.
///
/// # Errors
/// If there is none, or a folder cannot be read.
pub(super) fn transcripts(folder: &Path) -> Result<Vec<PathBuf>, TestsError> {
    let mut found = Vec::new();
    let collected = collect(folder, &mut found);
    collected.map_err(|(folder, source)| TestsError::Unreadable { file: folder, source })?;
    found.sort();
    match found.is_empty() {
        true => Err(TestsError::NoTranscripts(folder.to_owned())),
        false => Ok(found),
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let failed = |source| (folder.to_owned(), source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // Not through links, which may lead round in a circle.
        if entry.file_type().map_err(failed)?.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                collect(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_below_a_folder_are_found_but_not_in_what_was_built() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b.transcript", "a/c.transcript", "target/d.transcript", ".git/e.transcript", "f.txt"] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let found = transcripts(folder.path()).unwrap();
        assert_eq!(found, [folder.path().join("a/c.transcript"), folder.path().join("b.transcript")]);
        let none = transcripts(&folder.path().join(".git/..").join("target/..").join("a/.."));
        assert_eq!(none.unwrap().len(), 2);
        fs::create_dir(folder.path().join("empty")).unwrap();
        let error = transcripts(&folder.path().join("empty")).unwrap_err().to_string();
        assert!(error.contains("no transcript"), "{error}");
    }
}
