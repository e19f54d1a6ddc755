//! The package on a machine on which systemd does not run, such as a container.

use hassock_tests::Machine;

/// Where systemd does not run, nothing of it is below `/run`.
const SCRIPT: &str = r#"
mount -t tmpfs run /run
dpkg --install hassock_0.1.0-1_*.deb
id hassock
runuser -u hassock -- test -r /etc/hassock/hassock.toml
runuser -u nobody -- test ! -r /etc/hassock/hassock.toml
dpkg --install hassock_0.1.0-2_*.deb
hassock --version
dpkg --remove hassock
test -f /etc/hassock/hassock.toml
dpkg --purge hassock
! id hassock 2>/dev/null
"#;

/// Install it, upgrade it, remove it and purge it.
pub(super) async fn installs_without_systemd(machine: &Machine) {
    let printed = machine.run(&format!("unshare --mount sh -ec '{SCRIPT}'")).await;
    assert!(printed.contains("hassock 0.1.0"), "{printed}");
}
