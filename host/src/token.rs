//! The secrets that requests to the host must carry: that of the admin listener, and those of the API.
//!
//! The token of the admin listener is in a file that only the host's user can read, and not in a config, an environment
//! variable or an argument, because its client can replace the code that a host runs. A token of the API may be in such a
//! file, or in the config.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use subtle::ConstantTimeEq;

use crate::private_file::{self, Created};

/// Random bytes of a token that the host creates; they are written in hex.
const RANDOM_BYTES: usize = 32;

/// A shorter token can be guessed.
const MIN_CHARS: usize = 16;

/// A longer token does not fit into a header field.
const MAX_CHARS: usize = 4096;

/// A secret; `Debug` hides it.
pub(crate) struct Token(String);

/// Why a token file cannot be used. Each message says what to do; the caller names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("there is no such file")]
    Missing,
    #[error("cannot read it: {0}; only its owner can: run the host, and this command, as that user")]
    Unreadable(io::Error),
    #[error("is not a regular file; name a file that contains only the token")]
    NotAFile,
    #[error(
        "has mode {mode:04o}, so that users other than its owner can read or change it, and with it replace the code \
         that runs here; `chmod 600` it, and create a new token if another user may have read this one"
    )]
    Exposed { mode: u32 },
    #[error(
        "belongs to the user {owner}, who can change it; this process runs as the user {user}: `chown {user}` it, or \
         remove it and the host creates a new one"
    )]
    Foreign { owner: u32, user: u32 },
    #[error(
        "does not contain a token: write {MIN_CHARS} to {MAX_CHARS} printable ASCII characters without spaces, or \
         remove it and the host creates a new one"
    )]
    Malformed,
    #[error("is missing and cannot be created: {0}; name a place that the host may write to, or create it by hand")]
    NotCreated(io::Error),
}

impl Token {
    /// The token of a host. Only the host's user may be able to read and change its file. A missing file is created.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub(crate) fn of_host(file: &Path) -> Result<Self, TokenError> {
        match read(file, Reader::Host) {
            Err(TokenError::Missing) => {
                create(file).map_err(TokenError::NotCreated)?;
                // Read again, because another host may have created the file at the same moment.
                read(file, Reader::Host)
            }
            result => result,
        }
    }

    /// Check the file as [`Token::of_host`] does, without creating it: a missing file is not an error.
    ///
    /// # Errors
    /// If the file exists and cannot be used.
    pub(crate) fn inspect(file: &Path) -> Result<(), TokenError> {
        match read(file, Reader::Host) {
            Ok(_) | Err(TokenError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The token of a command that talks to a host. The administrator may read the file of another user.
    ///
    /// # Errors
    /// If it is missing or cannot be used.
    pub(crate) fn of_client(file: &Path) -> Result<Self, TokenError> {
        read(file, Reader::Client)
    }

    /// The token in a file that somebody else has made. Only the host's user may be able to read and change it.
    ///
    /// # Errors
    /// If it is missing or cannot be used.
    pub(crate) fn of_file(file: &Path) -> Result<Self, TokenError> {
        read(file, Reader::Host)
    }

    /// A token that stands in a config.
    ///
    /// # Errors
    /// If the text is not a token.
    pub(crate) fn of_text(text: &str) -> Result<Self, TokenError> {
        let is_token =
            (MIN_CHARS..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token { Ok(Self(text.to_owned())) } else { Err(TokenError::Malformed) }
    }

    /// Whether a client presents this token. The time that this takes does not depend on how much of it is right.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// The secret itself, only for the header of a request.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Which side reads the file.
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
        return Err(TokenError::NotAFile);
    }
    if let Some(mode) = private_file::exposed_mode(&metadata) {
        return Err(TokenError::Exposed { mode });
    }
    if reader == Reader::Host {
        check_owner(metadata.uid(), rustix::process::geteuid().as_raw())?;
    }
    // A little more than is allowed: for the newline of an editor, and to notice a token that is too long.
    let mut text = String::new();
    opened.take(MAX_CHARS as u64 + 2).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => TokenError::Malformed,
        _ => TokenError::Unreadable(error),
    })?;
    Token::of_text(text.trim_ascii())
}

/// A file of root is accepted, because root can change any file anyway.
fn check_owner(owner: u32, user: u32) -> Result<(), TokenError> {
    if owner == user || owner == 0 { Ok(()) } else { Err(TokenError::Foreign { owner, user }) }
}

fn create(file: &Path) -> io::Result<()> {
    let random: [u8; RANDOM_BYTES] = private_file::random()?;
    let mut token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    token.push('\n');
    if private_file::create(file, token.as_bytes())? == Created::New {
        tracing::info!(file = %file.display(), "created a new token for the admin listener");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;

    use super::*;
    use crate::private_file::MODE;

    fn file(folder: &tempfile::TempDir, text: &str, mode: u32) -> std::path::PathBuf {
        let file = folder.path().join("token");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_missing_token_is_created_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hassock.token");
        assert!(matches!(Token::of_client(&file), Err(TokenError::Missing)));
        Token::inspect(&file).unwrap();
        assert!(!file.exists(), "a check created the file");
        let token = Token::of_host(&file).unwrap();
        assert_eq!(token.expose().len(), 2 * RANDOM_BYTES);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, MODE);
        assert_eq!(Token::of_host(&file).unwrap().expose(), token.expose());
        assert_eq!(Token::of_client(&file).unwrap().expose(), token.expose());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left behind");
        let other = Token::of_host(&folder.path().join("other")).unwrap();
        assert_ne!(other.expose(), token.expose());
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
    fn a_token_of_another_user_is_refused_unless_that_is_root() {
        check_owner(1000, 1000).unwrap();
        check_owner(0, 1000).unwrap();
        let message = check_owner(1001, 1000).unwrap_err().to_string();
        assert!(message.contains("belongs to the user 1001") && message.contains("chown 1000"), "{message}");
        check_owner(1001, 0).unwrap_err();
    }

    #[test]
    fn a_text_that_is_not_a_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n", "0123456789abcde\n", "0123456789 abcdef", "0123456789abcdef\nx", "ä123456789abcdef"] {
            let refused = Token::of_host(&file(&folder, text, MODE)).unwrap_err();
            assert!(matches!(refused, TokenError::Malformed), "{text:?}: {refused}");
        }
        let refused = Token::of_host(&file(&folder, &"x".repeat(MAX_CHARS + 1), MODE)).unwrap_err();
        assert!(matches!(refused, TokenError::Malformed), "{refused}");
        assert!(matches!(Token::of_host(folder.path()), Err(TokenError::NotAFile)));
        let nowhere = Token::of_host(&folder.path().join("no/such/folder")).unwrap_err();
        assert!(matches!(nowhere, TokenError::NotCreated(_)), "{nowhere}");
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
