//! The files of a new app.

use super::Example;
use super::embedded::{CHAT, COMMANDS, ECHO, File, GUESTBOOK, LICENSES, SDK, WIT};
use super::lock;

/// The files that are made for an app. `{{name}}` is filled in, in their paths too.
const SCAFFOLD: [(&str, &str); 5] = [
    ("hassock.toml", include_str!("template/hassock.toml.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("src/tests.rs", include_str!("template/tests.rs.in")),
    ("{{name}}.transcript", include_str!("template/transcript.in")),
    ("README.md", include_str!("template/README.md.in")),
];

const MANIFEST: &str = include_str!("template/Cargo.toml.in");
const IGNORED: &str = include_str!("template/gitignore.in");

/// A path within the app's folder, and the contents.
pub(super) type AppFile = (String, Vec<u8>);

/// An app that greets and repeats, to begin with.
pub(super) fn of_app(name: &str) -> Vec<AppFile> {
    let own = SCAFFOLD.iter().map(|(path, text)| (fill(path, name), fill(text, name).into_bytes()));
    own.chain(common(name)).collect()
}

/// A copy of an example, under the example's own name.
pub(super) fn of_example(example: Example) -> Vec<AppFile> {
    let (name, files) = match example {
        Example::Chat => ("chat", CHAT),
        Example::Commands => ("commands", COMMANDS),
        Example::Echo => ("echo", ECHO),
        Example::Guestbook => ("guestbook", GUESTBOOK),
    };
    // Its manifest belongs to the workspace of the examples.
    let own = files.iter().filter(|(path, _)| *path != "Cargo.toml");
    own.map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).chain(common(name)).collect()
}

/// What every app has: how it is built, and what it is built with.
fn common(name: &str) -> impl Iterator<Item = AppFile> {
    let made = [
        ("Cargo.toml".to_owned(), fill(MANIFEST, name)),
        ("Cargo.lock".to_owned(), lock::for_app(name)),
        (".gitignore".to_owned(), fill(IGNORED, name)),
    ];
    let made = made.into_iter().map(|(path, text)| (path, text.into_bytes()));
    let sdk = vendored("hassock-sdk", SDK).chain(vendored("hassock-sdk", &LICENSES));
    made.chain(sdk.collect::<Vec<_>>()).chain(vendored("wit", WIT).collect::<Vec<_>>())
}

fn vendored(folder: &str, files: &[File]) -> impl Iterator<Item = AppFile> {
    files.iter().map(move |(path, bytes)| (format!("vendor/{folder}/{path}"), bytes.to_vec()))
}

fn fill(text: &str, name: &str) -> String {
    text.replace("{{name}}", name)
}
