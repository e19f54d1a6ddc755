//! The OpenAPI document, and whether the API keeps to it: schemathesis, of PyPI, generates requests that the document allows and
//! such that it does not, and checks the answers.

use std::process::Command;

use hassock_tests::{Process, python_programs};

use super::*;

/// How schemathesis is told about the host. It cannot know what exists, so it is told; and JSON Schema counts characters, while
/// the bounds of a WebSocket are bytes, so a request that the document allows may be 422.
fn settings(connection: u64) -> String {
    format!(
        "seed = 4711\n\
         [parameters]\n\"path.app\" = \"probe\"\n\"path.connection\" = {connection}\n\
         [checks.positive_data_acceptance]\n\
         expected-statuses = [\"2xx\", \"401\", \"403\", \"404\", \"409\", \"422\"]\n\
         [[operations]]\n\
         include-name = \"POST /v1/apps/{{app}}/connections/{{connection}}/close\"\n\
         [operations.parameters]\n\"path.connection\" = {}\n\
         [[operations]]\n\
         include-name = \"GET /v1/apps/{{app}}/topics/{{topic}}/history\"\n\
         [operations.parameters]\n\"path.topic\" = \"kept:a\"\n",
        connection + 1
    )
}

/// Everything that schemathesis can check, with requests that are always the same.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_violation() {
    let bench = Bench::with("", "[apps.probe.topics.\"kept:*\"]\nhistory = 5\n").await;
    bench.done("publish", json!({ "topic": "kept:a", "text": "one", "id": "1" })).await;
    bench.done("publish", json!({ "topic": "kept:a", "base64": "AA==" })).await;
    // One that is sent to, and one that is closed.
    let mut client = bench.host.connect("/probe?topic=news").await;
    let mut closed = bench.host.connect("/probe").await;
    let (id, next) = (id_of(&mut client).await, id_of(&mut closed).await);
    assert_eq!(next, id + 1);
    let reader =
        tokio::spawn(async move { while futures_util::StreamExt::next(&mut client.socket).await.is_some() {} });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), settings(id)).unwrap();
    let mut command = Command::new(python_programs().join("schemathesis"));
    command.current_dir(folder.path()).args(["run", &format!("http://{}/openapi.json", bench.address())]);
    command.args(["--header", &format!("Authorization: Bearer {ALL}")]);
    command.args(["--checks", "all", "--max-examples", "200", "--generation-database", "none", "--no-color"]);
    let finished = Process::start(command).ends().await;
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, Some(0), "{said}");
    // All but the document itself, which it knows already.
    let operations = bench.document().await["paths"].as_object().unwrap().len() - 1;
    assert!(said.contains(&format!("Tested: {operations}")), "{said}");
    assert!(!said.contains("Missing test data"), "it did not get to what an operation does: {said}");
    reader.abort();
}

/// Each operation has a summary, a name, and an answer for each status; each schema that a request may have is strict.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_and_complete() {
    let bench = Bench::start().await;
    let document = bench.document().await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_described =
                    response["description"].is_string() && response["content"]["application/json"].is_object();
                assert!(is_described, "{method} {path} {status}: {response}");
            }
        }
    }
    for name in ["Publish", "Broadcast", "Batch", "Send", "SendCommand", "Close", "CloseCommand"] {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(schema["additionalProperties"], false, "{name}: {schema}");
    }
}
