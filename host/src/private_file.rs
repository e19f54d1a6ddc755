//! Files that hold a secret of the host: created once, readable only by their owner.

use std::fs::{Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Read and write for the owner, nothing for others.
pub(crate) const MODE: u32 = 0o600;

/// The permissions of group and others.
const OTHERS: u32 = 0o077;

/// What [`create`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    New,
    /// Another process had created the file; it is unchanged.
    Existing,
}

/// Create a file with this content. The content is written completely before the file gets its name, so that no
/// process ever reads a part of it. Of several processes that do this at the same moment, the first one wins.
pub(crate) fn create(file: &Path, content: &[u8]) -> io::Result<Created> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary =
        tempfile::Builder::new().prefix(".hassock-").permissions(Permissions::from_mode(MODE)).tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(file) {
        Ok(_) => Ok(Created::New),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Existing),
        Err(error) => Err(error.error),
    }
}

/// Random bytes for a secret.
pub(crate) fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The mode of a file that group or others may read, write or execute; none if only the owner may.
pub(crate) fn exposed_mode(metadata: &Metadata) -> Option<u32> {
    let mode = metadata.mode() & 0o7777;
    (mode & OTHERS != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_content_stays_and_only_the_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        assert_eq!(create(&file, b"first").unwrap(), Created::New);
        assert_eq!(create(&file, b"second").unwrap(), Created::Existing);
        assert_eq!(fs::read(&file).unwrap(), b"first");
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.mode() & 0o7777, exposed_mode(&metadata)), (MODE, None));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left behind");
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposed_mode(&fs::metadata(&file).unwrap()), Some(mode));
        }
    }
}
