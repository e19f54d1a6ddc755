//! `hassock new`: what it makes works at once, and leads a newcomer from a failing to a passing test.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hassock_tests::{Process, binary, cache, example, hassock, target, workspace};

/// Run the program in a new app, with the dependencies that the examples were built with. Cargo puts apps of the same
/// name into the same place there, so only one test may build one.
fn run(program: &Path, arguments: &[&str], app: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(app).env("CACHE_DIRECTORY", cache());
    command.env("CARGO_TARGET_DIR", target());
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the book says about the first transcript, with the book's own lines.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_from_new_to_a_failing_and_then_a_passing_test() {
    example("echo");
    let folder = tempfile::tempdir().unwrap();
    let made = hassock(folder.path(), ["new", "hello"]).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let app = folder.path().join("hello");

    // The app names nothing outside its folder, so it builds anywhere, and the lock names what it builds.
    let tree = run(Path::new("cargo"), &["tree", "--locked", "--target", "wasm32-wasip2"], &app);
    assert!(tree.status.success() && words(&tree).contains("/vendor/hassock-sdk)"), "{}", words(&tree));
    let repository = workspace().canonicalize().unwrap();
    assert!(!words(&tree).contains(repository.to_str().unwrap()), "{}", words(&tree));
    assert!(!words(&tree).contains("wit-parser"), "no generator is built: {}", words(&tree));
    let passed = run(&binary(), &["test", "."], &app);
    assert_eq!(passed.status.code(), Some(0), "{}", words(&passed));
    assert!(words(&passed).contains("ok ./hello.transcript  9 steps, 4 calls"), "{}", words(&passed));

    let chapter = fs::read_to_string(workspace().join("host/book/src/testing.md")).unwrap();
    let block = |begin: &str| {
        let from = chapter.find(begin).unwrap_or_else(|| panic!("the chapter has no {begin}"));
        chapter[from..].split("```").next().unwrap().to_owned()
    };
    let transcript = app.join("hello.transcript");
    let text = fs::read_to_string(&transcript).unwrap();
    fs::write(&transcript, format!("{text}\n{}", block("# A client that shouts is asked not to.\n"))).unwrap();
    let failed = run(&binary(), &["test", ".", "--no-build"], &app);
    assert_eq!(failed.status.code(), Some(1), "{}", words(&failed));
    for line in block("hello/hello.transcript:19:").lines() {
        assert!(words(&failed).contains(line.trim_start_matches("hello/")), "{line}: {}", words(&failed));
    }

    let source = app.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let publish = "        topics::publish(";
    let corrected = block("        if text.len() > 3") + publish;
    fs::write(&source, text.replacen(publish, &corrected, 1)).unwrap();
    let passed = run(&binary(), &["test", "."], &app);
    assert_eq!(passed.status.code(), Some(0), "{}", words(&passed));

    let unit = run(Path::new("cargo"), &["test", "--locked"], &app);
    assert!(unit.status.success() && words(&unit).contains("1 passed"), "{}", words(&unit));
}

/// The copy of an example is an app of its own: its config, transcripts and files are all there.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_example_passes_its_transcripts() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["chat", "guestbook", "commands", "echo"] {
        let dir = format!("my-{name}");
        let made = hassock(folder.path(), ["new", &dir, "--example", name]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let app = folder.path().join(&dir);
        fs::copy(example(name), app.join(format!("{name}.wasm"))).unwrap();
        let passed = run(&binary(), &["test", ".", "--no-build"], &app);
        assert_eq!(passed.status.code(), Some(0), "{}", words(&passed));
        let transcripts = |dir: &Path| {
            let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.extension().is_some_and(|ending| ending == "transcript")).count()
        };
        let all = transcripts(&workspace().join("examples-wasm").join(name));
        assert_eq!((words(&passed).matches("ok ./").count(), transcripts(&app)), (all, all), "{}", words(&passed));
    }
}

/// A new app can be served.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_app_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    hassock(folder.path(), ["new", "hello"]).await;
    let config = folder.path().join("hello/hassock.toml");
    fs::copy(example("echo"), folder.path().join("hello/hello.wasm")).unwrap();
    let text = fs::read_to_string(&config).unwrap().replace("8080", "0");
    fs::write(&config, text).unwrap();
    let host = Process::hassock(folder.path(), ["serve", "--config", "hello/hassock.toml"]);
    host.prints("Starting server on").await;
    host.signal("TERM");
    assert_eq!(host.ends().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_cannot_be_created_is_explained_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "mine").unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/file"), "mine").unwrap();
    for (arguments, expected) in [
        (vec!["new", "1st"], "`1st` cannot name an app"),
        (vec!["new", "fn"], "reserved in Rust or cargo"),
        (vec!["new", "hassock-sdk"], "a crate that the app is built with has that name"),
        (vec!["new", "full"], "exists and is not empty"),
        (vec!["new", "full", "--example", "chat"], "exists and is not empty"),
        (vec!["new", "file"], "exists and is not empty"),
    ] {
        let finished = hassock(folder.path(), &arguments).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(finished.stderr.contains(expected), "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "{arguments:?}: {}", finished.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
