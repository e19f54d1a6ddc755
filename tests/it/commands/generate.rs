//! `hassock generate`: completions that shells accept, and man pages that say what the help texts say.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::CommandFactory;
use hassock::cli::Cli;
use hassock_tests::{Process, hassock};

/// bash runs the script, and completes what has been typed.
#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = hassock(folder.path(), ["generate", "completions", "bash"]).await;
    assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""));
    fs::write(folder.path().join("hassock.bash"), script.stdout).unwrap();
    for (words, expected) in [
        ("hassock mod", &["module"] as &[&str]),
        ("hassock module p", &["promote", "pin"]),
        ("hassock serve --con", &["--config"]),
        ("hassock generate completions z", &["zsh"]),
    ] {
        let count = words.split(' ').count() - 1;
        let (previous, last) = words.rsplit_once(' ').unwrap();
        let previous = previous.rsplit(' ').next().unwrap();
        let complete = format!(
            ". ./hassock.bash; COMP_WORDS=({words}); COMP_CWORD={count}; _hassock hassock {last} {previous}; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut command = Command::new("bash");
        command.args(["-c", &complete]).current_dir(folder.path());
        let completed = Process::start(command).ends().await;
        assert_eq!(completed.stdout.lines().collect::<Vec<_>>(), expected, "{words}: {}", completed.stderr);
    }
}

/// The other shells are not installed everywhere, so this looks for what their scripts have to contain.
#[tokio::test(flavor = "multi_thread")]
async fn other_shells_get_a_script_too() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, begin) in [("zsh", "#compdef hassock"), ("fish", "# Print an optspec"), ("elvish", "\nuse builtin")] {
        let script = hassock(folder.path(), ["generate", "completions", shell]).await;
        assert_eq!(script.code, Some(0));
        assert!(script.stdout.starts_with(begin), "{shell}: {}", script.stdout);
        for command in Cli::command().get_subcommands() {
            assert!(script.stdout.contains(command.get_name()), "{shell} does not know {}", command.get_name());
        }
    }
}

/// Each command has a page with its name, its first sentence and its flags.
#[tokio::test(flavor = "multi_thread")]
async fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let written = hassock(folder.path(), ["generate", "man", "share/man1"]).await;
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{}", written.stderr);
    let pages = fs::read_dir(folder.path().join("share/man1")).unwrap();
    let pages: BTreeSet<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    let mut definition = Cli::command();
    definition.build();
    let mut expected = BTreeSet::from(["hassock.1".to_owned()]);
    for command in definition.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("hassock-{}.1", command.get_name());
        let page = fs::read_to_string(folder.path().join("share/man1").join(&name)).unwrap().replace('\\', "");
        let about = command.get_about().unwrap().to_string();
        // A page has an apostrophe in another form.
        assert!(page.contains(about.split('\'').next().unwrap()), "{name}: {page}");
        for flag in command.get_opts().filter_map(|flag| flag.get_long()) {
            assert!(page.contains(&format!("--{flag}")), "{name} lacks --{flag}");
        }
        for inner in command.get_subcommands().filter(|command| command.get_name() != "help") {
            expected.insert(format!("hassock-{}-{}.1", command.get_name(), inner.get_name()));
        }
        expected.insert(name);
    }
    assert_eq!(pages, expected);
}

/// A folder that cannot be written is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = hassock(folder.path(), ["generate", "man", "file/man1"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("cannot write man pages into file/man1: "), "{}", refused.stderr);
}
