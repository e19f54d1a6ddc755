//! A cache of compiled code on disk, so that a restart or a rollback does not compile again.
//!
//! There is one file for each component and each kind of engine. It contains a tag and the output of
//! `Component::serialize`. The tag is an HMAC over the names of the engine and the component and the code, with a key
//! that only this user can read. A file that is truncated, damaged, renamed or copied from another cache does not have
//! the right tag; the host removes it and compiles the code again.
//!
//! Wasmtime's feature `cache` does not replace this: it loads any file in its folder that has the right name. It has no
//! tag or checksum over the code, checks neither the owner nor the permissions of the folder, and follows links. It
//! only compares the header with the compiler's settings, so it would execute a flipped bit.

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

/// The first bytes of a file. The last character is the version of this format.
const MAGIC: [u8; 8] = *b"hassock1";
const HEADER: usize = MAGIC.len() + 32;

/// Files with another ending do not belong to the cache: they are neither counted nor removed.
const ENDING: &str = ".hassock-code";

/// The cache of one engine.
pub(super) struct CodeCache {
    folder: PathBuf,
    bytes: Size,
    /// What the engine's code depends on: the exact version of wasmtime, the processor and the compiler's settings.
    engine: [u8; 32],
    mac: Hmac<Sha256>,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is not a regular file")]
    NotFile,
    #[error("it is damaged, or does not belong to this cache")]
    Tag,
    #[error("{0:#}")]
    Wasmtime(wasmtime::Error),
}

/// Why code is not cached.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error("{size} is more than `cache.bytes`; raise it")]
    TooLarge { size: Size },
    #[error("{0:#}")]
    Wasmtime(wasmtime::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl CodeCache {
    /// The cache that `config` describes. None if it is switched off or cannot be used. This is logged, and the host
    /// works without it.
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
        // The limit may have been lowered.
        cache.make_room(0);
        Ok(cache)
    }

    /// The compiled code, if its file exists and is valid.
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

    /// Cache compiled code. A failure, such as a full disk, is logged and costs a compilation later.
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
        // A file that the host wrote is never this large.
        if metadata.len() > self.bytes.bytes() as u64 {
            return Err(Unusable::Tag.into());
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        opened.read_to_end(&mut bytes)?;
        let code = self.check(key, bytes)?;
        // Update the time, so that this file is not the first one to be removed. If that fails, it is only removed
        // earlier.
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
        // A process that reads the file at the same time sees the complete file or none. If the host dies here, the
        // temporary file has the same ending, so it is counted and eventually removed.
        let mut file = tempfile::Builder::new().suffix(ENDING).tempfile_in(&self.folder)?;
        file.write_all(&MAGIC)?;
        file.write_all(&self.seal(key, &code).finalize().into_bytes())?;
        file.write_all(&code)?;
        file.persist(self.file(key)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Remove the least recently used files until `size` more bytes fit.
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

    /// The time of the last use, the size and the path of each file of the cache.
    fn files(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(ENDING)));
        ours.filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect()
    }

    /// The tag also covers the names of the component and the engine, so that a renamed file is refused. Both have a
    /// fixed length, so that bytes cannot move from one part to the next.
    fn seal(&self, key: &Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&MAGIC);
        mac.update(&self.engine);
        mac.update(key);
        mac.update(code);
        mac
    }

    /// The first 12 digits are the id of the version. 16 digits are enough to tell engines apart, because the tag
    /// covers all of them.
    fn file(&self, key: &Digest) -> PathBuf {
        let engine = self.engine.iter().take(8);
        let name: String = hex(key.iter()) + "-" + &hex(engine) + ENDING;
        self.folder.join(name)
    }
}

/// The bytes of a file with a valid tag.
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

/// Compiled code from the cache, as a component.
#[allow(unsafe_code, reason = "wasmtime has no other way to load compiled code")]
fn deserialize(engine: &wasmtime::Engine, code: &SoundCode) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must come from `Component::serialize`, unchanged. A `SoundCode` is only created in
    // `CodeCache::check`, after the HMAC over these very bytes in memory was verified. The key is a random one in a
    // file that `folder::mac` accepts only if this user owns it and no other user can read it. The only other code that
    // uses the key is `CodeCache::write`, which seals the output of `serialize`. So the bytes are what a host of this
    // user wrote, for this component, this exact version of wasmtime and these settings, all of which the HMAC covers.
    // A person who can read the key can run code as this user anyway.
    unsafe { Component::deserialize(engine, code.code()) }
}

/// What decides whether an engine can use the code. It contains the exact version of wasmtime, because `deserialize`
/// itself compares only the major number, and a bug fix in the compiler must reach the modules.
fn fingerprint(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut hasher = StableHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// A hash that is the same in every process, which the standard library does not guarantee, and that has no collisions.
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

/// Another host may have removed the file first, and a file that cannot be removed does no more harm than before.
fn remove(file: &Path) {
    match fs::remove_file(file) {
        Ok(()) => tracing::debug!(file = %file.display(), "removed from the cache"),
        Err(error) => tracing::debug!(file = %file.display(), "cannot be removed from the cache: {error}"),
    }
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
