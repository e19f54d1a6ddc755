//! The systemd unit: systemd understands it, and it takes away what the host does not need.

use std::fs;
use std::process::Command;

use hassock::config::Config;
use hassock_tests::{Process, workspace};

/// Tenths. A unit without any of these settings has 96.
const EXPOSURE: &str = "19";

fn unit() -> String {
    fs::read_to_string(workspace().join("host/dist/hassock.service")).unwrap()
}

/// The seconds of a key.
fn seconds(key: &str) -> u64 {
    let unit = unit();
    let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{key} is missing")).parse().unwrap()
}

/// `systemd-analyze security`: below 2, and a unit that takes nothing away is above.
#[tokio::test(flavor = "multi_thread")]
async fn the_exposure_is_below_2() {
    let folder = tempfile::tempdir().unwrap();
    let judge = async |text: &str| {
        let file = folder.path().join("hassock.service");
        fs::write(&file, text).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE]).arg(file);
        Process::start(command).ends().await
    };
    let judged = judge(&unit()).await;
    assert_eq!(judged.code, Some(0), "{}{}", judged.stdout, judged.stderr);
    assert!(judged.stdout.contains("Overall exposure level"), "{}", judged.stdout);
    let weaker = unit().replace("ProtectSystem=strict\n", "").replace("NoNewPrivileges=yes\n", "");
    assert_ne!(judge(&weaker).await.code, Some(0), "the judgement does not depend on the unit");
}

/// The times and limits of the unit leave room for the defaults of the config.
#[test]
fn the_limits_of_the_unit_are_above_those_of_the_host() {
    let text = "[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\n";
    let limits = Config::parse(&workspace().join("hassock.toml"), text).unwrap().limits;
    let drain = limits.drain_delay.get() + limits.drain_timeout.get();
    assert!(seconds("TimeoutStopSec") > drain.as_secs(), "{drain:?}");
    assert!(seconds("LimitNOFILE") > u64::try_from(limits.max_connections).unwrap() + 100);
}
