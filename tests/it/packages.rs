//! `host/dist`: the packages, and what they contain.

mod debian;
mod files;
mod page;
mod unit;

use std::path::{Path, PathBuf};
use std::process::Command;

use hassock_tests::{Process, binary, workspace};

/// Build a Debian package of the program, without compression, which takes the time of half of the test.
async fn deb(folder: &Path, revision: &str) -> PathBuf {
    let mut command = Command::new(workspace().join("host/dist/deb"));
    command.arg(folder).env("HASSOCK_BINARY", binary()).env("REVISION", revision);
    command.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let built = Process::start(command).ends().await;
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    PathBuf::from(built.stdout.lines().last().unwrap())
}
