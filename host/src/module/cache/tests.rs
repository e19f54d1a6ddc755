use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::super::compile::{Compiler, Origin};
use super::super::{Binary, Engine};
use super::*;

const PLENTY: Size = Size::mebibytes(64);

/// A component that does nothing, with different bytes for each letter.
fn component(letter: u8) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".as_slice(), &[0, 3, 1, b'v', letter]].concat()
}

/// A folder with a cache that is opened again and again, as restarts do.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("deep/cache")
    }

    fn key_file(&self) -> PathBuf {
        self.folder().join("key")
    }

    fn open(&self) -> CodeCache {
        CodeCache::open_folder(self.folder(), PLENTY, &wasmtime::Engine::default()).unwrap()
    }

    fn refusal(&self) -> FolderError {
        match CodeCache::open_folder(self.folder(), PLENTY, &wasmtime::Engine::default()) {
            Ok(_) => panic!("the folder was accepted"),
            Err(error) => error,
        }
    }

    fn with_bytes(&self, bytes: Size) -> Compiler {
        compiler(&self.folder(), bytes, wasmtime::Engine::default())
    }

    /// Where the component comes from, for a host that has just started.
    fn origin(&self, letter: u8) -> Origin {
        origin(&self.with_bytes(PLENTY), letter)
    }

    fn file(&self, letter: u8) -> PathBuf {
        let cache = self.open();
        cache.file(Binary::new(component(letter)).digest())
    }
}

fn compiler(folder: &Path, bytes: Size, engine: wasmtime::Engine) -> Compiler {
    let cache = CodeCache::open_folder(folder.to_owned(), bytes, &engine).unwrap();
    Compiler::new(engine, wasmtime::Strategy::Auto, Some(cache))
}

fn origin(compiler: &Compiler, letter: u8) -> Origin {
    compiler.component(&Binary::new(component(letter))).unwrap().1
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let place = Place::new();
    assert_eq!(place.origin(b'a'), Origin::Compiled);
    assert_eq!(place.origin(b'a'), Origin::Cache);
    assert_eq!(place.origin(b'b'), Origin::Compiled);
    assert_eq!(place.origin(b'a'), Origin::Cache);
}

#[test]
fn only_this_user_can_read_it() {
    let place = Place::new();
    place.origin(b'a');
    assert_eq!(mode(&place.folder()), 0o700);
    assert_eq!(mode(&place.key_file()), 0o600);
    assert_eq!(mode(&place.file(b'a')), 0o600);
}

#[test]
fn a_damaged_byte_anywhere_is_found_and_replaced() {
    let place = Place::new();
    place.origin(b'a');
    let file = place.file(b'a');
    let length = fs::metadata(&file).unwrap().len() as usize;
    for position in [0, MAGIC.len() - 1, MAGIC.len(), HEADER - 1, HEADER, length / 2, length - 1] {
        change(&file, |bytes| bytes[position] ^= 1);
        assert_eq!(place.origin(b'a'), Origin::Compiled, "byte {position} of {length}");
        assert_eq!(place.origin(b'a'), Origin::Cache, "after byte {position} of {length}");
    }
}

#[test]
fn a_file_of_another_length_is_found_and_replaced() {
    let place = Place::new();
    place.origin(b'a');
    let file = place.file(b'a');
    let length = fs::metadata(&file).unwrap().len() as usize;
    for shorter in [0, MAGIC.len(), HEADER - 1, HEADER, length / 2, length - 1] {
        change(&file, |bytes| bytes.truncate(shorter));
        assert_eq!(place.origin(b'a'), Origin::Compiled, "{shorter} of {length} bytes");
    }
    change(&file, |bytes| bytes.push(0));
    assert_eq!(place.origin(b'a'), Origin::Compiled);
    assert_eq!(place.origin(b'a'), Origin::Cache);
}

#[test]
fn a_sound_file_under_another_name_is_refused() {
    let place = Place::new();
    place.origin(b'a');
    place.origin(b'b');
    fs::rename(place.file(b'a'), place.file(b'b')).unwrap();
    assert_eq!(place.origin(b'b'), Origin::Compiled);
    assert_eq!(place.origin(b'b'), Origin::Cache);
}

#[test]
fn code_of_another_engine_is_refused() {
    let place = Place::new();
    place.origin(b'a');
    let engine = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
    let other = || compiler(&place.folder(), PLENTY, engine.clone());
    assert_eq!(origin(&other(), b'a'), Origin::Compiled);
    assert_eq!(origin(&other(), b'a'), Origin::Cache);
    // Wasmtime compares only some of what the code depends on, so the tag has to cover the rest.
    let cache = CodeCache::open_folder(place.folder(), PLENTY, &engine).unwrap();
    let found = cache.read(&place.file(b'a'), Binary::new(component(b'a')).digest());
    assert!(matches!(found, Err(ReadError::Unusable(Unusable::Tag))));
}

#[test]
fn code_of_another_key_is_refused() {
    let place = Place::new();
    place.origin(b'a');
    change(&place.key_file(), |key| key[0] ^= 1);
    assert_eq!(place.origin(b'a'), Origin::Compiled);
    assert_eq!(place.origin(b'a'), Origin::Cache);
    fs::remove_file(place.key_file()).unwrap();
    assert_eq!(place.origin(b'a'), Origin::Compiled);
}

#[test]
fn a_damaged_key_is_made_again() {
    let place = Place::new();
    for damage in [|key: &mut Vec<u8>| key.truncate(31), |key: &mut Vec<u8>| key.push(0)] {
        place.origin(b'a');
        change(&place.key_file(), damage);
        assert_eq!(place.origin(b'a'), Origin::Compiled);
        assert_eq!(fs::metadata(place.key_file()).unwrap().len(), 32);
        assert_eq!(place.origin(b'a'), Origin::Cache);
    }
}

#[test]
fn only_regular_files_are_read() {
    let place = Place::new();
    place.origin(b'a');
    let (file, external) = (place.file(b'a'), place.0.path().join("external"));
    fs::rename(&file, &external).unwrap();
    symlink(&external, &file).unwrap();
    assert_eq!(place.origin(b'a'), Origin::Compiled, "a link to a sound file");
    assert_eq!(place.origin(b'a'), Origin::Cache);
    fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(place.origin(b'a'), Origin::Compiled, "a pipe");
    assert_eq!(place.origin(b'a'), Origin::Cache);
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(place.origin(b'a'), Origin::Compiled, "a folder, which stays");
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let place = Place::new();
    place.open();
    for mode in [0o770, 0o702, 0o1777] {
        set_mode(&place.folder(), mode);
        let refusal = place.refusal();
        assert!(matches!(refusal, FolderError::Writable { .. }), "{refusal}");
        let remedy = format!("run `chmod go-w {}`", place.folder().display());
        assert!(refusal.to_string().contains(&remedy), "{refusal}");
    }
    set_mode(&place.folder(), 0o755);
    place.open();
}

#[test]
fn a_folder_or_key_of_another_user_is_refused() {
    let place = Place::new();
    place.open();
    // Only root may give files to another user. Other users test with root's own folder.
    if chown(place.key_file(), Some(1), None).is_ok() {
        assert!(matches!(place.refusal(), FolderError::Owner { path } if path == place.key_file()));
        chown(place.folder(), Some(1), None).unwrap();
        assert!(matches!(place.refusal(), FolderError::Owner { path } if path == place.folder()));
    } else {
        assert!(matches!(folder::prepare(Path::new("/")), Err(FolderError::Owner { .. })));
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Place::new();
    place.open();
    for mode in [0o640, 0o604, 0o620] {
        set_mode(&place.key_file(), mode);
        let refusal = place.refusal();
        assert!(matches!(refusal, FolderError::Exposed { .. }), "{refusal}");
    }
}

#[test]
fn a_key_that_is_a_link_is_refused() {
    let place = Place::new();
    place.open();
    let external = place.0.path().join("external");
    fs::rename(place.key_file(), &external).unwrap();
    symlink(&external, place.key_file()).unwrap();
    assert!(matches!(place.refusal(), FolderError::NotFile { .. }));
}

#[test]
fn hosts_that_start_at_the_same_moment_share_the_key() {
    let place = Place::new();
    let start = Barrier::new(8);
    let open = || {
        start.wait();
        place.with_bytes(PLENTY)
    };
    let hosts: Vec<Compiler> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(origin(&hosts[0], b'a'), Origin::Compiled);
    for host in &hosts {
        assert_eq!(origin(host, b'a'), Origin::Cache);
    }
    let left_over = fs::read_dir(place.folder()).unwrap().count();
    assert_eq!(left_over, 2, "the key and the code");
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let place = Place::new();
    for letter in *b"abc" {
        place.origin(letter);
    }
    let now = SystemTime::now();
    for (letter, minutes) in [(b'a', 50), (b'b', 40), (b'c', 30)] {
        set_used(&place.file(letter), now - Duration::from_secs(60 * minutes));
    }
    let three: u64 = place.open().files().iter().map(|(_, size, _)| size).sum();
    let host = place.with_bytes((three as usize + 100).into());
    assert_eq!(origin(&host, b'a'), Origin::Cache);
    assert_eq!(origin(&host, b'd'), Origin::Compiled);
    let kept = |letter| place.file(letter).exists();
    assert_eq!([b'a', b'b', b'c', b'd'].map(kept), [true, false, true, true]);
}

#[test]
fn only_our_files_are_counted_and_removed() {
    let place = Place::new();
    place.origin(b'a');
    let size = place.open().files()[0].1 as usize;
    let (theirs, unfinished) = (place.folder().join("theirs"), place.folder().join(".tmpX.hassock-code"));
    fs::write(&theirs, vec![0; 4 * size]).unwrap();
    fs::write(&unfinished, vec![0; size]).unwrap();
    set_used(&unfinished, SystemTime::UNIX_EPOCH);
    // The limit applies from the start.
    place.with_bytes((2 * size - 1).into());
    assert!(theirs.exists());
    assert!(place.key_file().exists());
    assert!(!unfinished.exists());
    assert_eq!(place.origin(b'a'), Origin::Cache);
}

#[test]
fn code_that_is_larger_than_the_cache_is_not_kept() {
    let place = Place::new();
    let host = place.with_bytes(100.into());
    assert_eq!(origin(&host, b'a'), Origin::Compiled);
    assert_eq!(origin(&host, b'a'), Origin::Compiled);
    assert!(place.open().files().is_empty());
}

#[test]
fn code_that_cannot_be_written_is_used_all_the_same() {
    let place = Place::new();
    let host = place.with_bytes(PLENTY);
    fs::remove_dir_all(place.folder()).unwrap();
    assert_eq!(origin(&host, b'a'), Origin::Compiled);
}

#[test]
fn a_host_works_without_a_cache() {
    let place = Place::new();
    let config = |bytes: &str| {
        let directory = place.folder();
        let text = format!(
            "[limits]\nmax_instances = 2\n[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\nlimits.instances = 1\n\
             [cache]\ndirectory = {directory:?}\nbytes = {bytes:?}"
        );
        Config::parse(Path::new("hassock.toml"), &text).unwrap()
    };
    Engine::new(&config("0B")).unwrap().compile(&Binary::new(component(b'a'))).unwrap();
    assert!(!place.folder().exists(), "switched off");
    Engine::new(&config("1MiB")).unwrap().compile(&Binary::new(component(b'a'))).unwrap();
    assert!(place.key_file().exists(), "switched on");
    set_mode(&place.folder(), 0o777);
    Engine::new(&config("1MiB")).unwrap().compile(&Binary::new(component(b'a'))).unwrap();
}

fn set_used(file: &Path, used: SystemTime) {
    fs::File::open(file).unwrap().set_modified(used).unwrap();
}
