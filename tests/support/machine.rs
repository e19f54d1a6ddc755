//! A second machine: the Debian of this one, booted once more with its own systemd, network and files. What is installed there is
//! gone with it. It needs root, or `sudo` without a password.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::{Finished, Process, eventually, workspace};

/// Tells the test program that it runs beside a second machine, and where the files are that the test has prepared.
const PARCEL: &str = "MACHINE_PARCEL";

/// What `tests/support/machine/boot` tells it.
const FOLDER: &str = "MACHINE_FOLDER";
const INIT: &str = "MACHINE_INIT";

/// The kinds of files, in the mode of a file.
const TYPE_AND_PERMISSIONS: u32 = 0o177_777;

/// A second machine, seen from the test program that runs beside it.
pub struct Machine {
    folder: PathBuf,
    init: String,
    parcel: PathBuf,
}

impl Machine {
    /// Boot a machine, and run the test `name` alone in a test program beside it: it shares the network of that machine. The
    /// test has to begin with [`here`](Self::here), and finds the folder `parcel` there.
    ///
    /// # Panics
    /// If the machine does not boot, or the test fails.
    pub async fn boot(name: &str, parcel: &Path) {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let mut command = as_root();
        command.arg(format!("{PARCEL}={}", parcel.display()));
        command.args(["unshare", "--mount", "--net", "--uts", "--ipc"]);
        command.arg(workspace().join("tests/support/machine/boot")).arg(folder.path());
        command.arg(env::current_exe().unwrap_or_default()).args(["--exact", name, "--nocapture", "--test-threads=1"]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{name} fails beside the machine:\n{out}\n{err}");
        assert!(out.contains("1 passed"), "there is no test {name}:\n{out}\n{err}");
    }

    /// The machine beside which this program runs, when it has booted. None in a program that [`boot`](Self::boot) has not
    /// started.
    pub async fn here() -> Option<Self> {
        let parcel = env::var_os(PARCEL)?.into();
        let machine = Self { folder: env::var_os(FOLDER)?.into(), init: env::var(INIT).ok()?, parcel };
        let script = "test -S /run/systemd/private && systemctl is-active machine.target";
        eventually("the machine has booted", || async { machine.finished(script).await.code == Some(0) }).await;
        Some(machine)
    }

    /// Run a script there, as root in the folder `/root`, with the environment of a login. Returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub async fn run(&self, script: &str) -> String {
        let finished = self.finished(script).await;
        assert_eq!(finished.code, Some(0), "{script}\n{}{}", finished.stdout, finished.stderr);
        finished.stdout
    }

    /// The same for a script that may fail: it ends with its first command that fails.
    pub async fn finished(&self, script: &str) -> Finished {
        let mut command = std::process::Command::new("nsenter");
        command.args(["--target", &self.init, "--all", "--root", "--wdns=/root", "--", "env", "-i"]);
        command.args([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "SSL_CERT_FILE=/root/authority.pem"]);
        command.args(["sh", "-ec", script]);
        Process::start(command).ends().await
    }

    /// A file there.
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.join("root").join(path.trim_start_matches('/'))
    }

    /// A file that the test has prepared.
    pub fn parcel(&self, name: &str) -> PathBuf {
        self.parcel.join(name)
    }

    /// Everything that is other there than on the first machine, and what it is now.
    pub fn changes(&self) -> BTreeMap<PathBuf, String> {
        changes(&self.folder.join("upper"))
    }
}

/// What is in the upper layer of an overlay of this machine and is other than below.
fn changes(upper: &Path) -> BTreeMap<PathBuf, String> {
    let mut changes = BTreeMap::new();
    collect(upper, Path::new("/"), &mut changes);
    changes
}

fn collect(upper: &Path, below: &Path, changes: &mut BTreeMap<PathBuf, String>) {
    let entries = fs::read_dir(upper).unwrap_or_else(|error| panic!("{}: {error}", upper.display()));
    for entry in entries.flatten() {
        let (above, below) = (entry.path(), below.join(entry.file_name()));
        let metadata = fs::symlink_metadata(&above).unwrap_or_else(|error| panic!("{}: {error}", above.display()));
        let (now, before) = (description(&above, &metadata), fs::symlink_metadata(&below).ok());
        if before.is_none_or(|before| description(&below, &before) != now) {
            changes.insert(below.clone(), now);
        }
        if metadata.is_dir() {
            collect(&above, &below, changes);
        }
    }
}

fn description(path: &Path, metadata: &Metadata) -> String {
    // The sign of an overlay that a file of the lower layer was removed.
    if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
        return "removed".to_owned();
    }
    let rights = format!("{:o} {}:{}", metadata.mode() & TYPE_AND_PERMISSIONS, metadata.uid(), metadata.gid());
    match metadata.file_type() {
        kind if kind.is_symlink() => format!("{rights} -> {}", fs::read_link(path).unwrap_or_default().display()),
        kind if kind.is_file() => format!("{rights} {}", content(path)),
        _ => rights,
    }
}

/// A text as it is, so that a difference can be seen, and the hash of anything else.
fn content(path: &Path) -> String {
    match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(other)) => {
            let mut hasher = DefaultHasher::new();
            other.as_bytes().hash(&mut hasher);
            format!("{:x}", hasher.finish())
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// `env`, run by root: variables and a command follow.
fn as_root() -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if is_root {
        return Command::new("env");
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", "env"]);
    command
}
