//! The file with the transcript.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use super::{RecordArgs, RecordError};

/// The file. It is created at the beginning, so that an error comes early.
pub(super) struct TranscriptFile {
    path: PathBuf,
    file: File,
    is_new: bool,
}

impl TranscriptFile {
    /// A file that is open already.
    #[cfg(test)]
    pub(super) fn of(path: PathBuf, file: File) -> Self {
        Self { path, file, is_new: true }
    }

    pub(super) fn open(arguments: &RecordArgs) -> Result<Self, RecordError> {
        let path = arguments.file.clone();
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { path, file, is_new: true }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && arguments.force => {
                match options.create_new(false).open(&path) {
                    Ok(file) => Ok(Self { path, file, is_new: false }),
                    Err(source) => Err(RecordError::Write { file: path, source }),
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(RecordError::Exists(path)),
            Err(source) => Err(RecordError::Write { file: path, source }),
        }
    }

    /// The host records now, so that the earlier content of the file can go.
    pub(super) fn begin(&mut self) -> Result<(), RecordError> {
        let emptied = match self.file.metadata() {
            Ok(metadata) if metadata.is_file() => self.file.set_len(0),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        emptied.map_err(|source| RecordError::Write { file: self.path.clone(), source })
    }

    pub(super) fn write(&mut self, text: &str) -> Result<(), RecordError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| RecordError::Write { file: self.path.clone(), source })
    }

    /// There is no recording: remove an empty file, and leave an earlier file as it was.
    pub(super) fn discard(self) {
        if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
    }
}
