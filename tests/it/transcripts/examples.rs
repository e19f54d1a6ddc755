//! The transcripts of the examples: each passes, and always in the same way.

use std::thread;

use super::agreement::{inside, is_wireable, read};
use super::{EXAMPLES, Folder, assert_said};

/// How often each is played.
const ROUNDS: usize = 20;

/// New users learn the format from the examples, so they have both kinds.
#[test]
fn some_need_the_inside_and_some_do_not() {
    for name in EXAMPLES {
        let folder = Folder::example(name);
        let files = folder.transcripts();
        let wireable = files.iter().filter(|file| is_wireable(&read(file))).count();
        assert!(wireable >= 1, "no transcript of {name} can be played over sockets");
        assert!(wireable < files.len(), "every transcript of {name} can be played over sockets");
    }
}

/// Played one after the other or at the same time, all clients get the same bytes.
#[test]
fn each_is_the_same_every_time() {
    for name in EXAMPLES {
        let folder = Folder::example(name);
        for file in folder.transcripts() {
            let play = || inside(&folder.path("hassock.toml"), &file);
            let first = play();
            let several = |count: usize| (0..count).map(|_| play()).collect::<Vec<_>>();
            let rounds = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| several(ROUNDS / 4))).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(rounds.len(), ROUNDS);
            assert!(rounds.iter().all(|round| *round == first), "{} varies", file.display());
        }
    }
}

/// Random numbers and the time depend on the first lines of a transcript and on nothing else.
#[test]
fn random_numbers_follow_from_the_seed() {
    let config = hassock_tests::app_with_database("probe", &hassock_tests::guest("probe"), "sqlite::memory:");
    let folder = Folder::new().with("hassock.toml", config);
    let played = |name: &str, begin: &str| {
        let steps = "connect a /probe\na > \"random\"\na < {\"ok\": \"${number}\"}\na > \"now\"\na skips\n";
        folder.put(name, format!("{begin}\n{steps}"));
        inside(&folder.path("hassock.toml"), &folder.path(name))
    };
    let seven = played("7.transcript", "seed 7");
    assert_eq!(seven, played("7.transcript", "seed 7"));
    assert_ne!(seven, played("8.transcript", "seed 8"));
    assert_ne!(seven, played("9.transcript", "seed 7\nclock 2026-01-31T12:00:00Z"));
}

/// As a user plays them. The durations are printed for people.
#[tokio::test(flavor = "multi_thread")]
async fn all_pass_through_the_program() {
    for name in EXAMPLES {
        let folder = Folder::example(name);
        let finished = folder.test("--no-build .").await;
        let files = folder.transcripts();
        assert_said(&finished, 0, &[&format!("\n{} passed, 0 failed in ", files.len())]);
        for file in files {
            let line = format!("ok ./{} ", file.file_name().unwrap().to_str().unwrap());
            assert_said(&finished, 0, &[&line]);
        }
        println!("{name}:\n{}", finished.stdout);
    }
}
