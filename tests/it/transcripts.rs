//! `hassock test`: transcripts in this process and over sockets, and the program itself.

use std::fs;
use std::path::{Path, PathBuf};

use hassock_tests::{Finished, example, guest, hassock, workspace};
use tempfile::TempDir;

mod agreement;
mod bless;
mod examples;
mod failed_calls;
mod failures;
mod misdeeds;
mod mistakes;
mod outbox;
mod recorder;
mod reports;
mod speech;
mod url;

/// All examples.
const EXAMPLES: [&str; 4] = ["chat", "commands", "echo", "guestbook"];

/// A folder with an app, or with modules and transcripts.
struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A copy of an example with its module.
    fn example(name: &str) -> Self {
        let folder = Self::new();
        for entry in fs::read_dir(workspace().join("examples-wasm").join(name)).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() {
                fs::copy(&file, folder.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
            }
        }
        fs::copy(example(name), folder.path(&format!("{name}.wasm"))).unwrap();
        folder
    }

    /// A folder with a module of `tests/guests`.
    fn guest(name: &str) -> Self {
        let folder = Self::new();
        fs::copy(guest(name), folder.path(&format!("{name}.wasm"))).unwrap();
        folder
    }

    /// The folder with one more file.
    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.put(name, text);
        self
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `hassock test`, with these arguments, in this folder.
    async fn test(&self, arguments: &str) -> Finished {
        let words = std::iter::once("test").chain(arguments.split_whitespace());
        hassock(self.0.path(), words).await
    }

    /// Its transcripts, in order.
    fn transcripts(&self) -> Vec<PathBuf> {
        transcripts(self.0.path())
    }
}

fn transcripts(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "transcript")).collect();
    files.sort();
    files
}

/// Check the exit code and what the program printed.
#[track_caller]
fn assert_said(finished: &Finished, code: i32, said: &[&str]) {
    assert_eq!(finished.code, Some(code), "{}\n{}", finished.stdout, finished.stderr);
    let all = format!("{}\n{}", finished.stdout, finished.stderr);
    for said in said {
        assert!(all.contains(said), "`{said}` is not in:\n{all}");
    }
}
