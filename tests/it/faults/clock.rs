//! The clock of a machine jumps: an administrator sets it, or a network does. The host measures spans with the clock that
//! cannot jump, so nothing expires early or late.

use std::fs;
use std::path::{Path, PathBuf};

use hassock_tests::workspace;

/// Where the host asks for the time of day, and why that may jump.
const TIME_OF_DAY: [(&str, &str); 6] = [
    ("app/context.rs", "is compared with the times of tokens, which are times of day"),
    ("app/tails.rs", "says when a message was published, to the person who looks"),
    (
        "cluster/numbers.rs",
        "makes the ids of a host differ from those of hosts before it, of which the cluster lets none be at the same time",
    ),
    ("cluster/stream/read.rs", "is compared with the times at which NATS has stored messages, which are times of day"),
    ("module/cache.rs", "marks when a file was used, which decides only which one is removed first"),
    ("record/reader.rs", "names the time at which a recording began"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// `Instant` never goes back and is not set (`CLOCK_MONOTONIC`), and Tokio's timers use it. This is about everything else.
#[test]
fn no_span_is_measured_with_the_time_of_day() {
    let folder = workspace().join("host/src");
    let mut asking = Vec::new();
    let mut monotonic = 0;
    for file in sources(&folder) {
        let place = file.strip_prefix(&folder).unwrap().display().to_string();
        // Tests make files that are old.
        if !place.ends_with(".rs") || place.contains("tests") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        monotonic += code.matches("Instant::now()").count();
        if ["SystemTime::now", "Utc::now", "Local::now", "now_utc", "UNIX_EPOCH.elapsed"]
            .iter()
            .any(|ask| code.contains(ask))
        {
            asking.push(place);
        }
    }
    asking.sort();
    let known: Vec<&str> = TIME_OF_DAY.iter().map(|(place, _)| *place).collect();
    assert_eq!(
        asking, known,
        "the time of day jumps; measure spans with `Instant`, or say here why a jump does no harm"
    );
    assert!(monotonic > 5, "the sources were not read");
}
