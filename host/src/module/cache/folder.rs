//! The folder of the cache, its key, and whom both may belong to.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use sha2::Sha256;

use crate::private_file;

/// As long as the tags that are made with it.
const KEY_BYTES: usize = 32;

/// Why the folder is not used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    #[error(
        "cannot use {}: {source}; name a folder that can be written as `cache.directory`, or set `cache.bytes = \"0B\"`",
        path.display()
    )]
    Io { path: PathBuf, source: io::Error },
    #[error("{} belongs to another user; name a folder of your own as `cache.directory`", path.display())]
    Owner { path: PathBuf },
    #[error(
        "group or others can write to {folder} (mode {mode:o}); run `chmod go-w {folder}` or name another folder as `cache.directory`",
        folder = path.display(),
        mode = mode & 0o7777
    )]
    Writable { path: PathBuf, mode: u32 },
    #[error(
        "group or others can read {} (mode {mode:o}), so the code beside it may be forged; remove it, and a new one is made",
        path.display(),
        mode = mode & 0o7777
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is not a regular file; remove it, and a new one is made", path.display())]
    NotFile { path: PathBuf },
}

/// What is found under a name.
pub(super) enum Opened {
    File(File, Metadata),
    /// A link, a folder, a pipe, ….
    NotFile,
    Absent,
}

/// Open a regular file: without following a link, and without waiting for the other end of a pipe.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(Opened::Absent),
        Err(Errno::LOOP) => return Ok(Opened::NotFile),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    Ok(if metadata.is_file() { Opened::File(file, metadata) } else { Opened::NotFile })
}

/// Make the folder if it is not there, and check that only this user can write to it.
pub(super) fn prepare(folder: &Path) -> Result<(), FolderError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error(folder))?;
    let metadata = fs::metadata(folder).map_err(io_error(folder))?;
    check_owner(folder, &metadata)?;
    match metadata.mode() {
        mode if mode & 0o022 != 0 => Err(FolderError::Writable { path: folder.to_owned(), mode }),
        _ => Ok(()),
    }
}

/// The folder's key, made if it is not there, ready to seal code with.
pub(super) fn mac(folder: &Path) -> Result<Hmac<Sha256>, FolderError> {
    let path = folder.join("key");
    let key = match read_key(&path)? {
        Some(key) => key,
        None => {
            create_key(&path).map_err(io_error(&path))?;
            // Read, not remembered: another host may have been faster, and the checks are for any key.
            let gone = || io_error(&path)(io::ErrorKind::NotFound.into());
            read_key(&path)?.ok_or_else(gone)?
        }
    };
    let unfit = |_| io_error(&path)(io::ErrorKind::InvalidData.into());
    Hmac::new_from_slice(&key).map_err(unfit)
}

/// The key, if there is one. The open file is checked and not its name: whoever can swap the folder for
/// another cannot make files that belong to this user.
fn read_key(path: &Path) -> Result<Option<[u8; KEY_BYTES]>, FolderError> {
    let (file, metadata) = match open(path).map_err(io_error(path))? {
        Opened::File(file, metadata) => (file, metadata),
        Opened::Absent => return Ok(None),
        Opened::NotFile => return Err(FolderError::NotFile { path: path.to_owned() }),
    };
    check_owner(path, &metadata)?;
    if let Some(mode) = private_file::exposed_mode(&metadata) {
        return Err(FolderError::Exposed { path: path.to_owned(), mode });
    }
    let mut key = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(io_error(path))?;
    match key.try_into() {
        Ok(key) => Ok(Some(key)),
        // A computer that lost its power may leave such a one. Code that was sealed with it is compiled again.
        Err(_) => {
            tracing::warn!(file = %path.display(), "the key of the cache is damaged, and made again");
            fs::remove_file(path).map_err(io_error(path))?;
            Ok(None)
        }
    }
}

fn create_key(path: &Path) -> io::Result<()> {
    let key: [u8; KEY_BYTES] = private_file::random()?;
    private_file::create(path, &key).map(drop)
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), FolderError> {
    match metadata.uid() == geteuid().as_raw() {
        true => Ok(()),
        false => Err(FolderError::Owner { path: path.to_owned() }),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path: path.clone(), source }
}
