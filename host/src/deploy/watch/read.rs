//! Reading a file that another program may be writing.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Read a file. None if it changed meanwhile or another file replaced it, because the bytes may then come from two
/// different files. This blocks.
///
/// # Errors
/// If the file cannot be read.
pub fn read_whole(file: &Path) -> io::Result<Option<Vec<u8>>> {
    read_and(file, || ())
}

/// `then` runs between the read and the second check.
fn read_and(file: &Path, then: impl FnOnce()) -> io::Result<Option<Vec<u8>>> {
    // Opening a pipe would wait for a program that writes to it.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let opened = File::open(file)?;
    let before = Look::at(&opened.metadata()?);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(before.length).unwrap_or(usize::MAX))?;
    // Not to the end, because a program may write to the file faster than the host reads.
    (&opened).take(before.length).read_to_end(&mut bytes)?;
    then();
    // If the name still refers to the same file, this checks the opened file again. Where metadata is cached, as on
    // network mounts, the length of the bytes that were read may be more recent.
    let same = fs::metadata(file).is_ok_and(|metadata| Look::at(&metadata) == before)
        && u64::try_from(bytes.len()) == Ok(before.length);
    Ok(same.then_some(bytes))
}

/// The data that shows that a file was replaced or written to. This does not include its ctime, which also changes with
/// the name, the links and the permissions of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Look {
    /// A snapshot of a file that has content. None if the file is missing, empty or not a regular file.
    pub(super) fn at_content(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        (metadata.is_file() && metadata.len() > 0).then(|| Self::at(&metadata))
    }

    pub(super) fn at(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_file_that_no_program_writes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.wasm");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let content = vec![7; 300_000];
        fs::write(&file, &content).unwrap();
        File::open(&file).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(read_whole(&file).unwrap().as_ref(), Some(&content));
        let renamed = || {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            fs::hard_link(&file, folder.path().join("copy")).unwrap();
        };
        assert_eq!(read_and(&file, renamed).unwrap(), Some(content), "its content is the same");
        fs::write(&file, "").unwrap();
        assert_eq!(read_whole(&file).unwrap(), Some(Vec::new()));
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("chat.wasm"), folder.path().join("new"));
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let write = |file: &Path, content: &str| {
            fs::write(file, content).unwrap();
            File::open(file).unwrap().set_modified(modified).unwrap();
        };
        let open = || OpenOptions::new().write(true).open(&file).unwrap();
        let changes: [(&str, &dyn Fn()); 5] = [
            ("written over", &|| open().write_all(b"NEW").unwrap()),
            ("longer", &|| {
                write(&file, "old and more");
            }),
            ("shorter", &|| {
                open().set_len(1).unwrap();
                open().set_modified(modified).unwrap();
            }),
            ("replaced", &|| fs::rename(&other, &file).unwrap()),
            ("removed", &|| fs::remove_file(&file).unwrap()),
        ];
        for (what, change) in changes {
            write(&file, "old");
            write(&other, "new");
            assert_eq!(read_and(&file, change).unwrap(), None, "{what}");
        }
    }

    #[test]
    fn a_path_that_is_not_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_whole(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(read_whole(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
