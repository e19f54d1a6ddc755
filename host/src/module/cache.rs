//! Compiled code on disk, so that a restart or a rollback does not compile again.
//!
//! One file for each component and each kind of engine: a tag, then what `Component::serialize` gave.
//! The tag is an HMAC over both, with a key that only this user can read. A file that is short, damaged,
//! renamed or from elsewhere does not have the right one; it is removed, and the code is compiled again.
//!
//! Wasmtime's feature `cache` is no substitute: it loads whatever lies in its folder under the right name. It
//! has no tag or checksum over the code, looks neither at the folder's owner nor at its permissions, and follows
//! links; only the header with the compiler's settings is compared. A flipped bit would be executed.

mod folder;
#[cfg(test)]
mod tests;

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use self::folder::{FolderError, Opened};
use super::binary::Digest;
use crate::config::{Config, Size};

/// How a file begins; the last character counts the versions of this format.
const MAGIC: [u8; 8] = *b"hassock1";
const HEADER: usize = MAGIC.len() + 32;

/// Files with other endings are not ours: they are neither counted nor removed.
const ENDING: &str = ".hassock-code";

/// The cache of one engine.
pub(super) struct CodeCache {
    folder: PathBuf,
    bytes: Size,
    /// What the engine's code depends on: wasmtime's exact version, the processor, the compiler's settings.
    engine: [u8; 32],
    mac: Hmac<Sha256>,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is not a regular file")]
    NotFile,
    #[error("it is damaged, or not from here")]
    Tag,
    #[error("{0:#}")]
    Wasmtime(wasmtime::Error),
}

/// Why code was not kept.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error("{size} are more than `cache.bytes`; raise it")]
    TooLarge { size: Size },
    #[error("{0:#}")]
    Wasmtime(wasmtime::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl CodeCache {
    /// The cache that `config` asks for. None if it is switched off or cannot be used, which is logged:
    /// the host works without it.
    pub(super) fn open(config: &Config, engine: &wasmtime::Engine) -> Option<Self> {
        let Some(folder) = config.cache.folder(config.locator.folder()) else {
            tracing::debug!("compiled modules are not kept");
            return None;
        };
        match Self::open_folder(folder, config.cache.bytes, engine) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!("compiled modules are not kept, and are compiled at each start: {error}");
                None
            }
        }
    }

    fn open_folder(folder: PathBuf, bytes: Size, engine: &wasmtime::Engine) -> Result<Self, FolderError> {
        folder::prepare(&folder)?;
        let mac = folder::mac(&folder)?;
        let cache = Self { folder, bytes, engine: fingerprint(engine), mac };
        // The bound may have been lowered.
        cache.make_room(0);
        Ok(cache)
    }

    /// The compiled code, if it is there and sound.
    pub(super) fn load(&self, engine: &wasmtime::Engine, key: &Digest) -> Option<Component> {
        let file = self.file(key);
        match self.read(&file, key) {
            Ok(code) => code.and_then(|code| match deserialize(engine, &code) {
                Ok(component) => Some(component),
                Err(error) => discard(&file, &Unusable::Wasmtime(error)),
            }),
            Err(ReadError::Unusable(reason)) => discard(&file, &reason),
            Err(ReadError::Io(error)) => {
                tracing::warn!(file = %file.display(), "cannot read compiled code: {error}");
                None
            }
        }
    }

    /// Keep compiled code. A failure, such as a full disk, is logged and costs a compilation later.
    pub(super) fn store(&self, key: &Digest, component: &Component) {
        if let Err(error) = self.write(key, component) {
            tracing::warn!(folder = %self.folder.display(), "compiled code is not kept: {error}");
        }
    }

    fn read(&self, file: &Path, key: &Digest) -> Result<Option<SoundCode>, ReadError> {
        let (mut opened, metadata) = match folder::open(file)? {
            Opened::File(opened, metadata) => (opened, metadata),
            Opened::Absent => return Ok(None),
            Opened::NotFile => return Err(Unusable::NotFile.into()),
        };
        // Never so large if it is ours.
        if metadata.len() > self.bytes.bytes() as u64 {
            return Err(Unusable::Tag.into());
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        opened.read_to_end(&mut bytes)?;
        let code = self.check(key, bytes)?;
        // So that it is not the first to make room. Without the new time it only goes earlier.
        let _ = opened.set_modified(SystemTime::now());
        Ok(Some(code))
    }

    fn check(&self, key: &Digest, bytes: Vec<u8>) -> Result<SoundCode, Unusable> {
        let (header, code) = bytes.split_at_checked(HEADER).ok_or(Unusable::Tag)?;
        let tag = header.strip_prefix(&MAGIC).ok_or(Unusable::Tag)?;
        self.seal(key, code).verify_slice(tag).map_err(|_| Unusable::Tag)?;
        Ok(SoundCode(bytes))
    }

    fn write(&self, key: &Digest, component: &Component) -> Result<(), NotKept> {
        let code = component.serialize().map_err(NotKept::Wasmtime)?;
        let size = HEADER + code.len();
        if size > self.bytes.bytes() {
            return Err(NotKept::TooLarge { size: size.into() });
        }
        self.make_room(size as u64);
        // Whoever reads it at the same time sees the whole file or none. Should the host die here, the rest
        // has the same ending, and so it is counted and makes room in its turn.
        let mut file = tempfile::Builder::new().suffix(ENDING).tempfile_in(&self.folder)?;
        file.write_all(&MAGIC)?;
        file.write_all(&self.seal(key, &code).finalize().into_bytes())?;
        file.write_all(&code)?;
        file.persist(self.file(key)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Remove what was not used for longest, until `size` more bytes fit.
    fn make_room(&self, size: u64) {
        let mut files = self.files();
        files.sort_unstable_by_key(|(used, ..)| *used);
        let mut sum = size + files.iter().map(|(_, size, _)| size).sum::<u64>();
        for (_, size, file) in files {
            if sum <= self.bytes.bytes() as u64 {
                break;
            }
            remove(&file);
            sum = sum.saturating_sub(size);
        }
    }

    /// When each of our files was last used, its size and its path.
    fn files(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(ENDING)));
        ours.filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect()
    }

    /// The names of component and engine are in it as well: a renamed file is refused. Both have a fixed
    /// length, so that nothing can pass from one part to the next.
    fn seal(&self, key: &Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&MAGIC);
        mac.update(&self.engine);
        mac.update(&key);
        mac.update(code);
        mac
    }

    /// The first 12 digits are the id of the version. 16 digits are enough to tell engines apart, because the
    /// tag is over all of them.
    fn file(&self, key: &Digest) -> PathBuf {
        let engine = self.engine.iter().take(8);
        let name: String = hex(key.iter()) + "-" + &hex(engine) + ENDING;
        self.folder.join(name)
    }
}

/// The bytes of a file whose tag is right.
struct SoundCode(Vec<u8>);

impl SoundCode {
    fn code(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    Unusable(#[from] Unusable),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Code that was compiled before, as a component.
#[allow(unsafe_code, reason = "wasmtime has no other way to load compiled code")]
fn deserialize(engine: &wasmtime::Engine, code: &SoundCode) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must come from `Component::serialize`, unchanged. A `SoundCode` is only made in
    // `CodeCache::check`, after the HMAC over these very bytes in memory was found right. Its key is a random one
    // in a file that `folder::mac` takes only if this user owns it and no other can read it, and the only code
    // that uses it otherwise is `CodeCache::write`, which seals what `serialize` returned. So the bytes
    // are what a host of this user wrote, for this component, this exact version of wasmtime and these
    // settings, all of which are under the HMAC. Whoever can read the key can run code as this user anyway.
    unsafe { Component::deserialize(engine, code.code()) }
}

/// What decides whether an engine can use code: with the exact version of wasmtime, of which `deserialize` itself
/// compares the major number only. A correction in the compiler must reach the modules.
fn fingerprint(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut hasher = StableHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Hashes alike in every process, which the standard library does not promise, and without collisions.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

fn discard<T>(file: &Path, reason: &Unusable) -> Option<T> {
    tracing::warn!(file = %file.display(), "compiled code cannot be used, and is compiled again: {reason}");
    remove(file);
    None
}

/// Another host may have been faster; and what cannot be removed is no worse than before.
fn remove(file: &Path) {
    match fs::remove_file(file) {
        Ok(()) => tracing::debug!(file = %file.display(), "removed from the cache"),
        Err(error) => tracing::debug!(file = %file.display(), "cannot be removed from the cache: {error}"),
    }
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
