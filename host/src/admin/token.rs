//! The secret that requests must carry: whoever has it can replace the code that a host runs. It is a file
//! that only the host's user can read, so that it is in no config, no environment and no argument.

use std::fmt;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use subtle::ConstantTimeEq;

/// Random bytes of a token that the host makes; written in hex.
const RANDOM_BYTES: usize = 32;

/// Shorter ones can be guessed.
const MIN_CHARS: usize = 16;

/// More fits into no header field.
const MAX_CHARS: usize = 4096;

/// Read and write for the owner, nothing for others.
const MODE: u32 = 0o600;

/// The permissions of group and others.
const OTHERS: u32 = 0o077;

/// A secret; `Debug` hides it.
pub struct Token(String);

/// Why a token file is not fit. Each says what to do; the caller says which file it is about.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It cannot be read.
    #[error("cannot read it: {0}; only the user whom it belongs to can: run the host, and this command, as that user")]
    Unreadable(io::Error),
    /// Not a file.
    #[error("is no regular file; name a file that holds nothing but the token")]
    NoFile,
    /// Others than its owner may read or change it.
    #[error(
        "has mode {mode:04o}, so that others than its owner can read or change it, and with it replace the code that \
         runs here; `chmod 600` it, and make a new token if somebody may have read this one"
    )]
    Open {
        /// The permissions.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error(
        "belongs to the user {owner}, who can change it; this process runs as the user {user}: `chown {user}` it, or \
         remove it and the host makes a new one"
    )]
    Foreign {
        /// Who owns it.
        owner: u32,
        /// Whom we run as.
        user: u32,
    },
    /// What it holds is no token.
    #[error(
        "holds no token: write {MIN_CHARS} to {MAX_CHARS} printable ASCII characters without spaces, or remove it and \
         the host makes a new one"
    )]
    Malformed,
    /// It is missing and cannot be made.
    #[error("is missing and cannot be made: {0}; name a place that the host may write to, or make it by hand")]
    NotMade(io::Error),
}

impl Token {
    /// The token of a host: its file must be out of everyone's reach. If there is none it is made.
    ///
    /// # Errors
    /// If it is not fit.
    pub fn of_host(file: &Path) -> Result<Self, TokenError> {
        match read(file, Reader::Host) {
            Err(TokenError::Missing) => {
                make(file).map_err(TokenError::NotMade)?;
                // Read, because another host may have made one at the same moment.
                read(file, Reader::Host)
            }
            result => result,
        }
    }

    /// As [`Token::of_host`] without making one: a missing file is no obstacle.
    ///
    /// # Errors
    /// If it is there and not fit.
    pub fn inspect(file: &Path) -> Result<(), TokenError> {
        match read(file, Reader::Host) {
            Ok(_) | Err(TokenError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The token of a command that talks to a host. The administrator may read the file of another user.
    ///
    /// # Errors
    /// If it is missing or not fit.
    pub fn of_client(file: &Path) -> Result<Self, TokenError> {
        read(file, Reader::Client)
    }

    /// Whether it is what somebody presents. How long that takes tells nothing about how much of it is right.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// The secret itself: for the header of a request only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Host,
    Client,
}

fn read(file: &Path, reader: Reader) -> Result<Token, TokenError> {
    let opened = File::open(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TokenError::Missing,
        _ => TokenError::Unreadable(error),
    })?;
    let metadata = opened.metadata().map_err(TokenError::Unreadable)?;
    if !metadata.is_file() {
        return Err(TokenError::NoFile);
    }
    check_permissions(&metadata)?;
    if reader == Reader::Host {
        check_owner(metadata.uid(), rustix::process::geteuid().as_raw())?;
    }
    // A little more than is allowed, for the newline of an editor and to see that it is too long.
    let mut text = String::new();
    opened.take(MAX_CHARS as u64 + 2).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => TokenError::Malformed,
        _ => TokenError::Unreadable(error),
    })?;
    let token = text.trim_ascii();
    let well_formed =
        (MIN_CHARS..=MAX_CHARS).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed { Ok(Token(token.to_owned())) } else { Err(TokenError::Malformed) }
}

fn check_permissions(metadata: &Metadata) -> Result<(), TokenError> {
    match metadata.mode() & 0o7777 {
        mode if mode & OTHERS != 0 => Err(TokenError::Open { mode }),
        _ => Ok(()),
    }
}

/// Root can change any file anyway.
fn check_owner(owner: u32, user: u32) -> Result<(), TokenError> {
    if owner == user || owner == 0 { Ok(()) } else { Err(TokenError::Foreign { owner, user }) }
}

/// Write the whole file, and only then give it its name: nobody ever reads half a token.
fn make(file: &Path) -> io::Result<()> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new().permissions(Permissions::from_mode(MODE)).tempfile_in(folder)?;
    writeln!(new, "{hex}")?;
    new.as_file().sync_all()?;
    match new.persist_noclobber(file) {
        Ok(_) => {
            tracing::info!(file = %file.display(), "made a new token for the admin listener");
            Ok(())
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Barrier;

    use super::*;

    fn file(folder: &tempfile::TempDir, text: &str, mode: u32) -> std::path::PathBuf {
        let file = folder.path().join("token");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_missing_token_is_made_once_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hassock.token");
        assert!(matches!(Token::of_client(&file), Err(TokenError::Missing)));
        Token::inspect(&file).unwrap();
        assert!(!file.exists(), "to look is not to make");
        let made = Token::of_host(&file).unwrap();
        assert_eq!(made.expose().len(), 2 * RANDOM_BYTES);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, MODE);
        assert_eq!(Token::of_host(&file).unwrap().expose(), made.expose());
        assert_eq!(Token::of_client(&file).unwrap().expose(), made.expose());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
        let other = Token::of_host(&folder.path().join("other")).unwrap();
        assert_ne!(other.expose(), made.expose());
    }

    #[test]
    fn hosts_that_start_together_have_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hassock.token");
        let barrier = Barrier::new(8);
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                Token::of_host(&file).unwrap().0
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| token == &tokens[0]), "{tokens:?}");
    }

    #[test]
    fn a_token_that_others_could_read_or_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644] {
            let file = file(&folder, "0123456789abcdef", mode);
            for refused in [Token::of_host(&file).err(), Token::of_client(&file).err(), Token::inspect(&file).err()] {
                let message = refused.expect("refused").to_string();
                assert!(message.contains(&format!("mode {mode:04o}")) && message.contains("chmod 600"), "{message}");
            }
        }
        for mode in [0o600, 0o400, 0o700] {
            Token::of_host(&file(&folder, "0123456789abcdef", mode)).unwrap();
        }
    }

    #[test]
    fn a_token_of_another_user_is_refused_unless_it_is_roots() {
        check_owner(1000, 1000).unwrap();
        check_owner(0, 1000).unwrap();
        let message = check_owner(1001, 1000).unwrap_err().to_string();
        assert!(message.contains("belongs to the user 1001") && message.contains("chown 1000"), "{message}");
        check_owner(1001, 0).unwrap_err();
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n", "0123456789abcde\n", "0123456789 abcdef", "0123456789abcdef\nx", "ä123456789abcdef"] {
            let refused = Token::of_host(&file(&folder, text, MODE)).unwrap_err();
            assert!(matches!(refused, TokenError::Malformed), "{text:?}: {refused}");
        }
        let refused = Token::of_host(&file(&folder, &"x".repeat(MAX_CHARS + 1), MODE)).unwrap_err();
        assert!(matches!(refused, TokenError::Malformed), "{refused}");
        assert!(matches!(Token::of_host(folder.path()), Err(TokenError::NoFile)));
        let nowhere = Token::of_host(&folder.path().join("no/such/folder")).unwrap_err();
        assert!(matches!(nowhere, TokenError::NotMade(_)), "{nowhere}");
        assert_eq!(Token::of_host(&file(&folder, " 0123456789abcdef\r\n", MODE)).unwrap().expose().len(), MIN_CHARS);
    }

    #[test]
    fn only_the_whole_token_matches_and_it_is_not_printed() {
        let token = Token("0123456789abcdef".to_owned());
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }
}
