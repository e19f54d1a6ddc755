//! The protocol is small: a client in 80 lines of Python misses nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use hassock_tests::{Process, Proxy, eventually, python_programs};
use serde_json::{Value, json};

use super::host;

/// How many messages there are, and how many times the connection breaks meanwhile.
const MESSAGES: usize = 300;
const CUTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_eighty_lines_misses_nothing() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/client_protocol/client.py");
    assert!(fs::read_to_string(&file).unwrap().lines().count() <= 80);
    let host = host("[apps.probe.topics.\"kept-python\"]\nhistory = 1000\n").await;
    let proxy = Proxy::start(&host.address()).await;
    let mut command = Command::new(python_programs().join("python3"));
    command.arg(&file).arg(format!("ws://{}/probe?topic=kept-python", proxy.address));
    let client = Process::start(command);
    client.prints("\"subscribed\"").await;
    let mut publisher = host.connect("/probe").await;
    let mut cuts = 0;
    for number in 0..MESSAGES {
        let text = number.to_string();
        publisher.probe(json!({ "publish-with": { "topic": "kept-python", "text": text, "id": text } })).await;
        match number % (MESSAGES / CUTS) {
            10 => {
                cuts += 1;
                proxy.cut();
            }
            // It comes back by itself, and has missed some.
            30 => {
                let is_back = || async { client.stdout().matches("\"was_recovering\": true").count() == cuts };
                eventually("the client to come back", is_back).await;
            }
            _ => {}
        }
    }
    client.prints(&format!("\"{}\"]", MESSAGES - 1)).await;
    let events: Vec<Value> = client.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let payloads: Vec<&str> = events.iter().filter_map(|event| event[1].as_str()).collect();
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    assert_eq!(payloads, expected);
    let subscribed: Vec<&Value> = events.iter().filter(|event| event[0]["type"] == "subscribed").collect();
    assert!(subscribed[1..].iter().all(|event| event[0]["recovered"] == true) && subscribed.len() == 1 + CUTS, "{subscribed:?}");
}
