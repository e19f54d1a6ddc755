use std::collections::BTreeSet;

use super::*;

/// All files in a folder, as paths within it.
fn files_in(dir: &Path) -> BTreeSet<String> {
    fn walk(dir: &Path, root: &Path, files: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, root, files),
                false => drop(files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned())),
            }
        }
    }
    let mut files = BTreeSet::new();
    walk(dir, dir, &mut files);
    files
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn new_app(name: &str, example: Option<Example>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join(name);
    create(&dir, example).unwrap();
    (folder, dir)
}

#[test]
fn a_new_app_has_all_its_files_and_no_gap_is_left() {
    let (_folder, dir) = new_app("hello-world", None);
    for path in [".gitignore", "Cargo.lock", "Cargo.toml", "README.md", "hassock.toml", "hello-world.transcript"] {
        let text = fs::read_to_string(dir.join(path)).unwrap();
        assert!(!text.contains("{{"), "{path}: {text}");
    }
    assert!(fs::read_to_string(dir.join("src/lib.rs")).unwrap().contains("hassock_sdk::export!"));
    assert!(fs::read_to_string(dir.join("hassock.toml")).unwrap().contains("[apps.hello-world]"));
    assert!(
        fs::read_to_string(dir.join("Cargo.lock")).unwrap().contains("name = \"hello-world\"\nversion = \"0.1.0\"\n")
    );
}

/// So it can be built on a machine without a copy of the repository.
#[test]
fn a_new_app_does_not_refer_to_the_repository() {
    let repository = repository();
    for example in std::iter::once(None).chain(Example::value_variants().iter().copied().map(Some)) {
        let (_folder, dir) = new_app("hello", example);
        for path in files_in(&dir) {
            let bytes = fs::read(dir.join(&path)).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            for outside in
                [repository.to_str().unwrap(), "examples-wasm", "guest-sdk", "path = \"..", "workspace = true"]
            {
                assert!(!text.contains(outside), "{example:?}: {path} has `{outside}`");
            }
        }
    }
}

/// A file that is newer in the repository than this program would be missing.
#[test]
fn the_sources_of_the_repository_are_embedded() {
    let repository = repository();
    let is_source = |path: &String| {
        !path.starts_with("bindings/")
            && [".rs", ".toml", ".md", ".transcript", ".png", ".wit", ".html"]
                .iter()
                .any(|ending| path.ends_with(ending))
    };
    for (folder, embedded) in [
        ("guest-sdk", embedded::SDK),
        ("wit", embedded::WIT),
        ("examples-wasm/chat", embedded::CHAT),
        ("examples-wasm/commands", embedded::COMMANDS),
        ("examples-wasm/echo", embedded::ECHO),
        ("examples-wasm/guestbook", embedded::GUESTBOOK),
    ] {
        let there: BTreeSet<String> = files_in(&repository.join(folder)).into_iter().filter(is_source).collect();
        let embedded: BTreeSet<String> = embedded.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(there, embedded, "{folder}");
    }
}

#[test]
fn what_is_there_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("app");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("note"), "mine").unwrap();
    for example in [None, Some(Example::Chat)] {
        let error = create(&dir, example).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        assert_eq!(files_in(&dir), BTreeSet::from(["note".to_owned()]));
    }
}

#[test]
fn the_folder_must_be_a_name() {
    let error = |name: &str| match create(&Path::new("/nowhere").join(name), None) {
        Err(NewError::Name(error)) => error,
        other => panic!("{name}: {other:?}"),
    };
    for wrong in ["1app", "my app", "äpp", "a.b", "-x"] {
        assert_eq!(error(wrong), NameError::Malformed(wrong.to_owned()));
    }
    for word in ["fn", "self", "test", "core", "proc-macro", "deps", "con", "COM1"] {
        assert_eq!(error(word), NameError::Reserved(word.to_owned()));
    }
    for crate_name in ["hassock-sdk", "hassock_sdk", "hassock-guest", "serde", "serde-json", "log", "rusqlite"] {
        assert_eq!(error(crate_name), NameError::Dependency(crate_name.to_owned()));
    }
    for good in ["hello", "chat", "my_app-2", "latest", "common"] {
        assert_eq!(name::check(good.to_owned()), Ok(good.to_owned()));
    }
}
