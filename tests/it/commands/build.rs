//! `hassock build`: from source to a component, and a clear message when there is none.

use std::fs;
use std::path::Path;

use hassock_tests::{Finished, app, example, hassock, workspace};
use tempfile::TempDir;

/// The first bytes of a component; those of a core module differ in the last four.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

/// A folder with a config with one app, `app`, which is built by a command.
fn folder(build: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{}build = \"{build}\"\n", app("app", Path::new("out/app.wasm")));
    fs::write(folder.path().join("hassock.toml"), config).unwrap();
    folder
}

/// The same, with a package without dependencies that is built by cargo.
fn package(source: &str, lib: &str) -> TempDir {
    let folder = folder("cargo build --release --offline --target wasm32-wasip2");
    let manifest = format!("[package]\nname = \"thing\"\nedition = \"2024\"\n{lib}\n[workspace]\n");
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), source).unwrap();
    folder
}

async fn build(folder: &TempDir) -> Finished {
    hassock(folder.path(), ["build", "."]).await
}

fn is_component(file: &Path) -> bool {
    fs::read(file).unwrap().starts_with(&COMPONENT)
}

fn fails_with(finished: &Finished, words: &[&str]) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{}", finished.stderr);
    let last = finished.stderr.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "`{word}` is not in the last line of:\n{}", finished.stderr);
    }
}

/// An example is built in its folder: standard output has the component's path and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_example_is_built_to_a_component() {
    // Not at the same time as the other tests' build: both would wait for cargo's lock.
    example("echo");
    let finished = hassock(&workspace(), ["build", "examples-wasm/echo"]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout, "examples-wasm/echo/echo.wasm\n");
    let component = workspace().join("examples-wasm/echo/echo.wasm");
    assert!(is_component(&component));
    assert_eq!(fs::read(component).unwrap(), fs::read(example("echo")).unwrap());
    let finished = hassock(&workspace(), ["build", "--json", "examples-wasm/echo"]).await;
    assert_eq!(finished.stdout, "{\"echo\":\"examples-wasm/echo/echo.wasm\"}\n", "{}", finished.stderr);
}

/// A package without dependencies, such as one that is not a handler yet, becomes a component too; what
/// cargo says goes to standard error.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_built_by_cargo() {
    let folder = package("", "[lib]\ncrate-type = [\"cdylib\"]");
    let finished = build(&folder).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "./out/app.wasm\n"), "{}", finished.stderr);
    assert!(finished.stderr.contains("Compiling thing"), "{}", finished.stderr);
    assert!(is_component(&folder.path().join("out/app.wasm")));
    let left: Vec<_> = fs::read_dir(folder.path().join("out")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["app.wasm"]);
}

/// The config file can be named instead of its folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_file_stands_for_its_folder() {
    let folder = folder("mkdir -p out && cp hassock.toml out/app.wasm");
    let finished = hassock(folder.path(), ["build", "hassock.toml"]).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "./out/app.wasm\n"), "{}", finished.stderr);
}

/// A package that is a plain library does not make a component. The message says what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_without_cdylib_is_explained() {
    let finished = build(&package("", "")).await;
    fails_with(&finished, &["built no component", "crate-type = [\"cdylib\"]", "[lib]"]);
}

/// A folder without a package: cargo says so, and the command is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_package_fails() {
    let finished = build(&folder("cargo build --release --target wasm32-wasip2")).await;
    assert!(finished.stderr.contains("could not find `Cargo.toml`"), "{}", finished.stderr);
    fails_with(&finished, &["`cargo build --release --target wasm32-wasip2` failed"]);
}

/// Source that does not compile: the compiler's message, exit code 1, and the old component stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_compile_error_is_shown() {
    let folder = package("", "[lib]\ncrate-type = [\"cdylib\"]");
    assert_eq!(build(&folder).await.code, Some(0));
    let before = fs::read(folder.path().join("out/app.wasm")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "fn broken() -> u8 { \"text\" }").unwrap();
    let finished = build(&folder).await;
    assert!(finished.stderr.contains("error[E0308]: mismatched types"), "{}", finished.stderr);
    fails_with(&finished, &["failed", "see above"]);
    assert_eq!(fs::read(folder.path().join("out/app.wasm")).unwrap(), before);
}

/// Any command may make the component; what it prints goes to standard error.
#[tokio::test(flavor = "multi_thread")]
async fn any_command_can_make_the_component() {
    let folder = folder(&format!("echo making; mkdir -p out && cp '{}' out/app.wasm", example("echo").display()));
    let finished = build(&folder).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "./out/app.wasm\n"), "{}", finished.stderr);
    assert_eq!(finished.stderr, "making\n");
    assert!(is_component(&folder.path().join("out/app.wasm")));
}

/// The message about a command that fails names it and says how it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_named() {
    let finished = build(&folder("echo no luck >&2; exit 3")).await;
    assert!(finished.stderr.starts_with("no luck\n"), "{}", finished.stderr);
    fails_with(&finished, &["`echo no luck >&2; exit 3` failed", "3"]);
}

/// A command that succeeds and writes another file is an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_makes_no_module_is_an_error() {
    let finished = build(&folder("cp hassock.toml elsewhere.wasm")).await;
    fails_with(&finished, &["`cp hassock.toml elsewhere.wasm`", "did not write", "out/app.wasm", "`module`"]);
}

/// In an app's folder, no argument is needed.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_the_current_one_is_built() {
    let folder = folder("mkdir -p out && cp hassock.toml out/app.wasm");
    let finished = hassock(folder.path(), ["build"]).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "./out/app.wasm\n"), "{}", finished.stderr);
}

/// Outside an app's folder, the message says what to type instead: a nearby app, or how to create one.
#[tokio::test(flavor = "multi_thread")]
async fn outside_of_an_apps_folder_the_message_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["build", "dev"] {
        let finished = hassock(folder.path(), [command]).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(78), ""), "{}", finished.stderr);
        let expected = format!("name one, as in `hassock {command} DIR`, or create one with `hassock new hello`");
        assert!(finished.stderr.contains(&expected), "{}", finished.stderr);
    }
    for app in ["poll", "chat"] {
        fs::create_dir(folder.path().join(app)).unwrap();
        fs::write(folder.path().join(app).join("hassock.toml"), "").unwrap();
    }
    let finished = hassock(folder.path(), ["build"]).await;
    assert!(finished.stderr.contains("but `hassock build chat` would work"), "{}", finished.stderr);
}

/// The first build with cargo is announced as slow; later ones, and other commands, are not.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_build_says_how_long_it_takes() {
    let words = "the first build also compiles the dependencies: up to a minute";
    let package = package("", "[lib]\ncrate-type = [\"cdylib\"]");
    let first = build(&package).await;
    assert!(
        first.stderr.starts_with("Building app: cargo build --release") && first.stderr.contains(words),
        "{}",
        first.stderr
    );
    let second = build(&package).await;
    assert!(!second.stderr.contains(words), "{}", second.stderr);
}
