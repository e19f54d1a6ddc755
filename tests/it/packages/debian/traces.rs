//! What a package leaves behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the package manager, the log and nginx write down about every package or client, and what belongs to the first machine.
const OTHERS: [(&str, &str); 15] = [
    ("/root", "the files of the administrator"),
    ("/var/lib/dpkg", "the database of dpkg"),
    ("/var/lib/apt", "the state of apt"),
    ("/var/cache/apt", "the cache of apt"),
    ("/var/cache/debconf", "the database of debconf, in which dpkg looks for questions"),
    ("/var/cache/man", "the index of manual pages"),
    ("/var/log", "the logs of dpkg, apt and nginx, and the journal"),
    ("/var/lib/nginx", "temporary files of nginx"),
    ("/etc/letsencrypt", "the certificate, which is not the package's"),
    ("/etc/passwd-", "a copy that is made before users are changed"),
    ("/etc/shadow-", "a copy that is made before users are changed"),
    ("/etc/group-", "a copy that is made before users are changed"),
    ("/etc/gshadow-", "a copy that is made before users are changed"),
    ("/etc/.pwd.lock", "the lock for users"),
    ("/var/lib/systemd/deb-systemd-helper-enabled/nginx.service.dsh-also", "nginx, which a step disables"),
];

/// Nothing has changed but what belongs to others.
pub(super) fn assert_no_trace(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) {
    let is_other = |path: &Path| OTHERS.iter().any(|(other, _)| path.starts_with(other));
    let all = before.keys().chain(after.keys()).filter(|path| !is_other(path));
    let traces: BTreeMap<_, _> = all
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| (path, (before.get(path), after.get(path))))
        .collect();
    assert!(traces.is_empty(), "before and after: {traces:#?}");
}
