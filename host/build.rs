//! Collects what `hassock new` writes: the SDK, the contract and the examples, which the program carries with it. It
//! writes one list of files for each of them, and the program includes their contents when it is compiled.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The name of the list, and the folder that it has the files of.
const FOLDERS: [(&str, &str); 6] = [
    ("SDK", "guest-sdk"),
    ("WIT", "wit"),
    ("ECHO", "examples-wasm/echo"),
    ("CHAT", "examples-wasm/chat"),
    ("COMMANDS", "examples-wasm/commands"),
    ("GUESTBOOK", "examples-wasm/guestbook"),
];

/// Files of a source. Anything else in these folders was built, or is a database.
const ENDINGS: [&str; 7] = ["rs", "toml", "md", "wit", "transcript", "png", "html"];

/// Folders in which nothing is built and no database is created.
const ONLY_SOURCES: [&str; 4] = ["src", "tests", "wit", "public"];

/// The generator of the SDK's bindings, which no app needs.
const LEFT_OUT: &str = "guest-sdk/bindings";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    let mut code = String::new();
    for (name, folder) in FOLDERS {
        let folder = root.join(folder);
        let mut files = Vec::new();
        collect(&folder, &root.join(LEFT_OUT), &mut files)?;
        files.sort();
        writeln!(code, "pub(super) const {name}: &[File] = &[")?;
        for file in files {
            let path = file.strip_prefix(&folder)?.to_str().ok_or("a path is not UTF-8")?;
            writeln!(code, "    ({path:?}, include_bytes!({file:?})),")?;
        }
        writeln!(code, "];")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}

/// All files of a source in a folder. Cargo runs this again when one of them changes, or a file is added to a folder that
/// only has sources. A database is created in the others.
fn collect(folder: &Path, left_out: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if ONLY_SOURCES.iter().any(|name| folder.ends_with(name)) {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path != left_out && !path.ends_with("target") {
                collect(&path, left_out, files)?;
            }
        } else if path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending)) {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    Ok(())
}
